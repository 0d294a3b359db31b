"""Every event of the shop, each exactly once, in normalized MariaDB tables; and the KPIs over them."""
