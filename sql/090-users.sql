-- Who may do what. The grants make analytics append-only: nobody but root may UPDATE or DELETE there.
-- '%': services and people come over IPv4 and IPv6, from containers and from this machine.
-- The passwords are a workshop's; 095-passwords.sh changes them to those of the environment.

CREATE USER IF NOT EXISTS 'user'@'%' IDENTIFIED BY 'userpw';
CREATE USER IF NOT EXISTS 'analytics'@'%' IDENTIFIED BY 'analyticspw';
CREATE USER IF NOT EXISTS 'fulfillment'@'%' IDENTIFIED BY 'fulfillmentpw';
CREATE USER IF NOT EXISTS 'auditor'@'%' IDENTIFIED BY 'auditorpw';

GRANT SELECT, SHOW VIEW ON analytics.* TO 'user'@'%';
GRANT SELECT, INSERT ON analytics.* TO 'analytics'@'%';
GRANT SELECT, INSERT, UPDATE ON fulfillment.fulfillment TO 'fulfillment'@'%';
GRANT SELECT ON analytics.* TO 'auditor'@'%';
GRANT SELECT ON fulfillment.* TO 'auditor'@'%';

-- An installation may bring anonymous users, who would match before 'user'@'%' on this machine.
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
