-- The KPIs as series over the window: one row per bucket of 10 s (_10s) or of a minute (_minute) in which something
-- happened. What a window is: 040-analytics-kpis.sql.
--   at  start of the bucket (UTC); the first bucket is cut off by the start of the window and the last one by now
-- They are activity. What is counted are messages, repeated ones too; only in revenue each order counts once.

USE analytics;

-- kpi_checkout_10s, kpi_checkout_minute: checkouts created and CheckoutSubmitted.
CREATE OR REPLACE VIEW kpi_checkout_10s AS
SELECT TIMESTAMP '1970-01-01 00:00:00' + INTERVAL bucket * 10 SECOND AS at, created, submitted
FROM (
  SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket,
         COUNT(CASE WHEN status = 'created' THEN 1 END) AS created,
         COUNT(CASE WHEN status = 'CheckoutSubmitted' THEN 1 END) AS submitted
  FROM checkout FORCE INDEX (by_time)
  WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status IN ('created', 'CheckoutSubmitted')
  GROUP BY bucket
) AS counted;

CREATE OR REPLACE VIEW kpi_checkout_minute AS
SELECT at - INTERVAL SECOND(at) SECOND AS at, SUM(created) AS created, SUM(submitted) AS submitted
FROM kpi_checkout_10s GROUP BY 1;

-- kpi_order_10s, kpi_order_minute: orders NEW, DISPUTED, CANCELLED, COMPLETED.
CREATE OR REPLACE VIEW kpi_order_10s AS
SELECT TIMESTAMP '1970-01-01 00:00:00' + INTERVAL bucket * 10 SECOND AS at, placed, disputed, cancelled, completed
FROM (
  SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket,
         COUNT(CASE WHEN status = 'NEW' THEN 1 END) AS placed,
         COUNT(CASE WHEN status = 'DISPUTED' THEN 1 END) AS disputed,
         COUNT(CASE WHEN status = 'CANCELLED' THEN 1 END) AS cancelled,
         COUNT(CASE WHEN status = 'COMPLETED' THEN 1 END) AS completed
  FROM `order` FORCE INDEX (by_time)
  WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
    AND status IN ('NEW', 'DISPUTED', 'CANCELLED', 'COMPLETED')
  GROUP BY bucket
) AS counted;

CREATE OR REPLACE VIEW kpi_order_minute AS
SELECT at - INTERVAL SECOND(at) SECOND AS at, SUM(placed) AS placed, SUM(disputed) AS disputed,
       SUM(cancelled) AS cancelled, SUM(completed) AS completed
FROM kpi_order_10s GROUP BY 1;

-- kpi_revenue_10s, kpi_revenue_minute: orders placed, and the sum of their amounts (gross), per currency.
CREATE OR REPLACE VIEW kpi_revenue_10s AS
SELECT TIMESTAMP '1970-01-01 00:00:00' + INTERVAL bucket * 10 SECOND AS at, currency, orders, gross
FROM (
  SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket, currency, COUNT(*) AS orders,
         SUM(total_amount) AS gross
  FROM order_placed_in_window GROUP BY bucket, currency
) AS counted;

CREATE OR REPLACE VIEW kpi_revenue_minute AS
SELECT at - INTERVAL SECOND(at) SECOND AS at, currency, SUM(orders) AS orders, SUM(gross) AS gross
FROM kpi_revenue_10s GROUP BY 1, currency;

-- kpi_events_10s, kpi_events_minute: messages per topic.
CREATE OR REPLACE VIEW kpi_events_10s AS
SELECT TIMESTAMP '1970-01-01 00:00:00' + INTERVAL bucket * 10 SECOND AS at, topic, events
FROM (
  SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket,
         'checkout' AS topic, COUNT(*) AS events
  FROM checkout WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) GROUP BY bucket
  UNION ALL SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket,
         'order', COUNT(*)
  FROM `order` WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) GROUP BY bucket
  UNION ALL SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', kafka_timestamp) DIV 10 AS bucket,
         'fulfillment', COUNT(*)
  FROM fulfillment WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) GROUP BY bucket
) AS counted;

CREATE OR REPLACE VIEW kpi_events_minute AS
SELECT at - INTERVAL SECOND(at) SECOND AS at, topic, SUM(events) AS events
FROM kpi_events_10s GROUP BY 1, topic;
