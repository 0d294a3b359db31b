-- The KPIs: each is defined here, once, and read by the console, by people and by tools alike.
--
-- A KPI looks at the last kpi_window seconds of broker time. A view takes no parameter, so a session variable is it:
--     SET @kpi_window = 60;  SELECT * FROM kpi_funnel;
-- Without one it is 600; more than that counts as 600, because a KPI must stay cheap.

USE analytics;

CREATE OR REPLACE FUNCTION kpi_window() RETURNS INT DETERMINISTIC NO SQL
  COMMENT 'Length of the KPI window in seconds: @kpi_window, 1 to 600, or else 600'
  RETURN GREATEST(1, LEAST(600, COALESCE(CAST(@kpi_window AS SIGNED), 600)));

-- DETERMINISTIC, though it reads the clock: it is evaluated once per statement, and an index can serve it.
CREATE OR REPLACE FUNCTION kpi_since() RETURNS DATETIME(3) DETERMINISTIC NO SQL
  COMMENT 'Start of the KPI window (UTC)'
  RETURN UTC_TIMESTAMP(3) - INTERVAL kpi_window() SECOND;

-- kpi_funnel: of the checkouts created in the window (a cohort), how many have reached each step by now.
--   checkouts  passed this step and every earlier one; each checkout counts once
--   dropped    reached the step before, but (so far) not this one
--   drop_off   dropped as a share of the step before; NULL where nobody was there
CREATE OR REPLACE VIEW kpi_funnel AS
WITH passed AS (
  SELECT MAX(event.status = 'AddressSubmitted') AS address,
         MAX(event.status = 'PaymentMethodSubmitted') AS payment,
         MAX(event.status = 'CheckoutSubmitted') AS submitted
  FROM (SELECT DISTINCT checkout_id FROM checkout
        WHERE kafka_timestamp >= kpi_since() AND status = 'created') AS cohort
  JOIN checkout AS event USING (checkout_id)
  GROUP BY cohort.checkout_id
), counted AS (
  SELECT COUNT(*) AS created,
         COALESCE(SUM(address), 0) AS address,
         COALESCE(SUM(address AND payment), 0) AS payment,
         COALESCE(SUM(address AND payment AND submitted), 0) AS submitted
  FROM passed
), step AS (
  SELECT 1 AS step_no, 'created' AS status, created AS checkouts, NULL AS before_it FROM counted
  UNION ALL SELECT 2, 'AddressSubmitted', address, created FROM counted
  UNION ALL SELECT 3, 'PaymentMethodSubmitted', payment, address FROM counted
  UNION ALL SELECT 4, 'CheckoutSubmitted', submitted, payment FROM counted
)
SELECT step_no, status, checkouts, before_it - checkouts AS dropped,
       (before_it - checkouts) / NULLIF(before_it, 0) AS drop_off
FROM step;

-- kpi_checkout: what happened to checkouts in the window (activity: both counts are of events in the window).
--   created, submitted  checkouts that reached this status
--   conversion          submitted / created; NULL where none was created
CREATE OR REPLACE VIEW kpi_checkout AS
SELECT created, submitted, submitted / NULLIF(created, 0) AS conversion
FROM (
  SELECT COALESCE(SUM(status = 'created'), 0) AS created, COALESCE(SUM(status = 'CheckoutSubmitted'), 0) AS submitted
  FROM checkout WHERE kafka_timestamp >= kpi_since()
) AS event;

-- kpi_order: what happened to orders in the window (activity: all counts are of events in the window).
--   placed, completed, disputed  orders that reached NEW, COMPLETED, DISPUTED
--   completion, dispute_share    completed / placed and disputed / placed; NULL where none was placed
CREATE OR REPLACE VIEW kpi_order AS
SELECT placed, completed, disputed,
       completed / NULLIF(placed, 0) AS completion, disputed / NULLIF(placed, 0) AS dispute_share
FROM (
  SELECT COALESCE(SUM(status = 'NEW'), 0) AS placed, COALESCE(SUM(status = 'COMPLETED'), 0) AS completed,
         COALESCE(SUM(status = 'DISPUTED'), 0) AS disputed
  FROM `order` WHERE kafka_timestamp >= kpi_since()
) AS event;

-- kpi_revenue: one row per currency, of the orders placed (NEW) in the window, whatever becomes of them.
--   orders, revenue      their number and the sum of their amounts
--   average_order_value  revenue / orders
CREATE OR REPLACE VIEW kpi_revenue AS
SELECT currency, COUNT(*) AS orders, SUM(total_amount) AS revenue, AVG(total_amount) AS average_order_value
FROM `order` WHERE kafka_timestamp >= kpi_since() AND status = 'NEW'
GROUP BY currency;

-- kpi_orders_in_flight: orders placed in the window that are neither COMPLETED nor CANCELLED yet.
CREATE OR REPLACE VIEW kpi_orders_in_flight AS
SELECT COUNT(*) AS orders_in_flight
FROM `order` AS placed
WHERE placed.kafka_timestamp >= kpi_since() AND placed.status = 'NEW' AND NOT EXISTS (
  SELECT 1 FROM `order` AS final
  WHERE final.order_id = placed.order_id AND final.status IN ('COMPLETED', 'CANCELLED')
);

-- kpi_dead_letters: dead letters that analytics put away in the window, and how many of them redrive has not settled.
CREATE OR REPLACE VIEW kpi_dead_letters AS
SELECT COUNT(*) AS dead_letters,
       COALESCE(SUM(checkout.log_id IS NULL AND `order`.log_id IS NULL AND fulfillment.log_id IS NULL), 0) AS unsettled
FROM dead_letter
LEFT JOIN checkout USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN `order` USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN fulfillment USING (log_id, kafka_partition, kafka_offset)
WHERE dead_letter.received_at >= kpi_since();

-- kpi_events: one row per topic with the events of the window.
--   per_second  their number over the time since the first of them (a window that has just begun is not diluted)
--   newest      broker time of the newest
CREATE OR REPLACE VIEW kpi_events AS
SELECT topic, events, newest,
       COALESCE(events / GREATEST(1, TIMESTAMPDIFF(MICROSECOND, oldest, UTC_TIMESTAMP(6)) / 1e6), 0) AS per_second
FROM (
  SELECT 'checkout' AS topic, COUNT(*) AS events, MIN(kafka_timestamp) AS oldest, MAX(kafka_timestamp) AS newest
  FROM checkout WHERE kafka_timestamp >= kpi_since()
  UNION ALL SELECT 'order', COUNT(*), MIN(kafka_timestamp), MAX(kafka_timestamp)
  FROM `order` WHERE kafka_timestamp >= kpi_since()
  UNION ALL SELECT 'fulfillment', COUNT(*), MIN(kafka_timestamp), MAX(kafka_timestamp)
  FROM fulfillment WHERE kafka_timestamp >= kpi_since()
) AS event;
