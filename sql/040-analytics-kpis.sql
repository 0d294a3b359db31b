-- The KPIs: each is defined here, once, and read by the console, by people and by tools alike.
--
-- A KPI looks at the last kpi_window seconds of broker time (kafka_timestamp), up to now. After the clock was set back,
-- what is stamped with a time to come counts once that time has come. A view takes no parameter, so a session variable
-- is it:
--     SET @kpi_window = 60;  SELECT * FROM kpi_funnel;
-- Without one it is 600; more than that counts as 600, because a KPI must stay cheap.
--
-- A figure is of one of two kinds:
--   cohort    of the entities that began in the window, whatever became of them by now. A share of a cohort lies
--             between 0 and 1, but the young ones have had no time to end yet.
--   activity  what happened in the window, whenever the entity began. A share of two activities compares different
--             entities and may exceed 1: right after a rush, more orders are completed than placed.
-- An entity counts once, in the window of its first message with the status in question, however often the message
-- came. Shares are NULL where there is nothing to share. KPIs about time are in 042-analytics-kpi-times.sql, and
-- series in 045-analytics-kpi-series.sql.

USE analytics;

CREATE OR REPLACE FUNCTION kpi_window() RETURNS INT DETERMINISTIC NO SQL
  COMMENT 'Length of the KPI window in seconds: @kpi_window, 1 to 600, or else 600'
  RETURN GREATEST(1, LEAST(600, COALESCE(CAST(@kpi_window AS SIGNED), 600)));

-- DETERMINISTIC, though they read the clock: they are evaluated once per statement, and an index can serve them.
CREATE OR REPLACE FUNCTION kpi_since() RETURNS DATETIME(3) DETERMINISTIC NO SQL
  COMMENT 'Start of the KPI window (UTC)'
  RETURN UTC_TIMESTAMP(3) - INTERVAL kpi_window() SECOND;

CREATE OR REPLACE FUNCTION kpi_open_since() RETURNS DATETIME(3) DETERMINISTIC NO SQL
  COMMENT 'Orders placed before this (UTC), six windows ago, are not looked at any more'
  RETURN UTC_TIMESTAMP(3) - INTERVAL 6 * kpi_window() SECOND;

CREATE OR REPLACE FUNCTION kpi_first_id(at DATETIME(3)) RETURNS UUID DETERMINISTIC NO SQL
  COMMENT 'The lowest time-ordered id (UUIDv7) that can have been made at that time (UTC)'
  RETURN CONCAT(LPAD(HEX(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', at) DIV 1000), 12, '0'), REPEAT('0', 20));

-- checkout_in_window: one row per checkout with messages in the window; 1 or 0 for each status.
-- The first condition on created leaves out what was created earlier and is only repeated here. An id made in the
-- window cannot have been used before it, so that only other ids need looking up.
CREATE OR REPLACE VIEW checkout_in_window AS
SELECT checkout_id,
       MAX(status = 'created') AS created,
       MAX(status = 'AddressSubmitted') AS address,
       MAX(status = 'PaymentMethodSubmitted') AS payment,
       MAX(status = 'CheckoutSubmitted') AS submitted
FROM checkout AS event FORCE INDEX (by_time)
WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
  AND (status <> 'created'
       OR checkout_id BETWEEN kpi_first_id(kpi_since()) AND kpi_first_id(UTC_TIMESTAMP(3))
       OR NOT EXISTS (
         SELECT 1 FROM checkout AS earlier
         WHERE earlier.checkout_id = event.checkout_id AND earlier.status = 'created'
           AND earlier.kafka_timestamp < event.kafka_timestamp))
GROUP BY checkout_id;

-- order_in_window: the same for orders.
CREATE OR REPLACE VIEW order_in_window AS
SELECT order_id,
       MAX(status = 'NEW') AS placed,
       MAX(status = 'MERCHANT_ACCEPTED') AS accepted,
       MAX(status = 'DISPUTED') AS disputed,
       MAX(status = 'CANCELLED') AS cancelled,
       MAX(status = 'SHIPPED') AS shipped,
       MAX(status = 'COMPLETED') AS completed
FROM `order` AS event FORCE INDEX (by_time)
WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
  AND (status <> 'NEW'
       OR order_id BETWEEN kpi_first_id(kpi_since()) AND kpi_first_id(UTC_TIMESTAMP(3))
       OR NOT EXISTS (
         SELECT 1 FROM `order` AS earlier
         WHERE earlier.order_id = event.order_id AND earlier.status = 'NEW'
           AND earlier.kafka_timestamp < event.kafka_timestamp))
GROUP BY order_id;

-- order_placed_in_window: the first NEW of each order, where that lies in the window.
CREATE OR REPLACE VIEW order_placed_in_window AS
SELECT order_id, kafka_timestamp, user_id, cart_id, address_id, total_amount, currency
FROM `order` AS placed FORCE INDEX (by_time)
WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status = 'NEW' AND NOT EXISTS (
  SELECT 1 FROM `order` AS earlier
  WHERE earlier.order_id = placed.order_id AND earlier.status = 'NEW'
    AND (earlier.kafka_timestamp, earlier.log_id, earlier.kafka_partition, earlier.kafka_offset)
        < (placed.kafka_timestamp, placed.log_id, placed.kafka_partition, placed.kafka_offset)
);

-- kpi_funnel: of the checkouts created in the window (cohort), how many went on at each step. The funnel is closed: a
-- checkout that skipped a step is lost there, whatever it did later.
--   step_no, status     1 to 3, and the status that the step leads to
--   entered             passed every earlier step
--   went_on, dropped    of these: passed this step, did not so far
--   share               went_on / entered
CREATE OR REPLACE VIEW kpi_funnel AS
SELECT step_no, status, entered, went_on, entered - went_on AS dropped, went_on / NULLIF(entered, 0) AS share
FROM (
  SELECT step_no, status,
         CASE step_no WHEN 1 THEN created WHEN 2 THEN address ELSE payment END AS entered,
         CASE step_no WHEN 1 THEN address WHEN 2 THEN payment ELSE submitted END AS went_on
  FROM (
    SELECT COUNT(*) AS created,
           COUNT(CASE WHEN address THEN 1 END) AS address,
           COUNT(CASE WHEN address AND payment THEN 1 END) AS payment,
           COUNT(CASE WHEN address AND payment AND submitted THEN 1 END) AS submitted
    FROM checkout_in_window WHERE created
  ) AS passed
  JOIN (
    SELECT 1 AS step_no, 'AddressSubmitted' AS status
    UNION ALL SELECT 2, 'PaymentMethodSubmitted'
    UNION ALL SELECT 3, 'CheckoutSubmitted'
  ) AS step
) AS counted;

-- kpi_checkout: checkouts of the window.
--   created      checkouts created in the window
--   submitted    checkouts submitted in the window, whenever they were created (activity)
--   conversion   submitted / created
--   abandoned    of those created in the window, the ones that are not submitted so far (cohort)
--   abandonment  abandoned / created
CREATE OR REPLACE VIEW kpi_checkout AS
SELECT created, submitted, submitted / NULLIF(created, 0) AS conversion,
       abandoned, abandoned / NULLIF(created, 0) AS abandonment
FROM (
  SELECT COUNT(CASE WHEN created THEN 1 END) AS created,
         COUNT(CASE WHEN submitted THEN 1 END) AS submitted,
         COUNT(CASE WHEN created AND NOT submitted THEN 1 END) AS abandoned
  FROM checkout_in_window
) AS counted;

-- kpi_order: what happened to orders in the window (activity).
--   placed, accepted, disputed, cancelled, shipped, completed
--                     orders that reached NEW, MERCHANT_ACCEPTED, DISPUTED, CANCELLED, SHIPPED, COMPLETED
--   completion        completed / placed
--   dispute_activity  disputed / placed. This is not the dispute rate: what is disputed now was placed earlier, so
--                     that it says how many disputes there are to handle, and rises when fewer orders come in. How
--                     likely an order is to be disputed says kpi_order_cohort.dispute_rate.
CREATE OR REPLACE VIEW kpi_order AS
SELECT placed, accepted, disputed, cancelled, shipped, completed,
       completed / NULLIF(placed, 0) AS completion, disputed / NULLIF(placed, 0) AS dispute_activity
FROM (
  SELECT COUNT(CASE WHEN placed THEN 1 END) AS placed,
         COUNT(CASE WHEN accepted THEN 1 END) AS accepted,
         COUNT(CASE WHEN disputed THEN 1 END) AS disputed,
         COUNT(CASE WHEN cancelled THEN 1 END) AS cancelled,
         COUNT(CASE WHEN shipped THEN 1 END) AS shipped,
         COUNT(CASE WHEN completed THEN 1 END) AS completed
  FROM order_in_window
) AS counted;

-- kpi_order_cohort: what became by now of the orders placed in the window (cohort).
--   placed                          their number
--   disputed, cancelled, completed  of these: have reached this status
--   in_flight                       of these: neither COMPLETED nor CANCELLED
--   completion, dispute_rate, cancellation_rate  completed, disputed, cancelled / placed
CREATE OR REPLACE VIEW kpi_order_cohort AS
SELECT placed, disputed, cancelled, completed, in_flight, completed / NULLIF(placed, 0) AS completion,
       disputed / NULLIF(placed, 0) AS dispute_rate, cancelled / NULLIF(placed, 0) AS cancellation_rate
FROM (
  SELECT COUNT(*) AS placed,
         COUNT(CASE WHEN disputed THEN 1 END) AS disputed,
         COUNT(CASE WHEN cancelled THEN 1 END) AS cancelled,
         COUNT(CASE WHEN completed THEN 1 END) AS completed,
         COUNT(CASE WHEN NOT completed AND NOT cancelled THEN 1 END) AS in_flight
  FROM order_in_window WHERE placed
) AS counted;

-- kpi_revenue: one row per currency, of the orders placed in the window (cohort). Amounts are never added up over
-- currencies.
--   orders, gross         their number and the sum of their amounts, whatever becomes of them
--   disputed, completed   the sums of those that have become DISPUTED, COMPLETED by now
--   average_order_value   gross / orders
--   items_per_order       pieces (the quantities of all lines) / orders
CREATE OR REPLACE VIEW kpi_revenue AS
SELECT currency, COUNT(*) AS orders, SUM(total_amount) AS gross,
       SUM(CASE WHEN disputed THEN total_amount ELSE 0 END) AS disputed,
       SUM(CASE WHEN completed THEN total_amount ELSE 0 END) AS completed,
       AVG(total_amount) AS average_order_value,
       AVG((SELECT SUM(quantity) FROM cart_item WHERE cart_item.cart_id = placed.cart_id)) AS items_per_order
FROM order_placed_in_window AS placed JOIN order_in_window USING (order_id)
GROUP BY currency;

-- kpi_top_product: the 20 products (per currency) that bring most, of the orders placed in the window (cohort).
--   orders, pieces, revenue  orders that hold the product, its pieces in them, pieces * price
CREATE OR REPLACE VIEW kpi_top_product AS
SELECT product_id, currency, COUNT(DISTINCT order_id) AS orders, SUM(quantity) AS pieces,
       SUM(quantity * price) AS revenue
FROM order_placed_in_window JOIN cart_item USING (cart_id)
GROUP BY product_id, currency
ORDER BY revenue DESC, product_id, currency LIMIT 20;

-- kpi_country: one row per country of the shipping address and currency, of the orders placed in the window (cohort).
--   orders, revenue  their number and the sum of their amounts
CREATE OR REPLACE VIEW kpi_country AS
SELECT country, currency, COUNT(*) AS orders, SUM(total_amount) AS revenue
FROM order_placed_in_window JOIN shipping_address USING (address_id)
GROUP BY country, currency;

-- kpi_customer: who placed an order in the window.
--   customers            different users
--   returning_customers  of these: placed an order before their latest one, however long ago
--   share                returning_customers / customers
CREATE OR REPLACE VIEW kpi_customer AS
SELECT customers, returning_customers, returning_customers / NULLIF(customers, 0) AS share
FROM (
  -- Of two orders of one user, one is the earlier; the later one lies in the window, because one of the two does.
  SELECT COUNT(*) AS customers,
         COUNT(CASE WHEN EXISTS (
           SELECT 1 FROM `order` AS other
           WHERE other.user_id = customer.user_id AND other.status = 'NEW' AND other.order_id <> customer.order_id
           AND other.kafka_timestamp <= UTC_TIMESTAMP(3)
         ) THEN 1 END) AS returning_customers
  FROM (SELECT user_id, MIN(order_id) AS order_id FROM order_placed_in_window GROUP BY user_id) AS customer
) AS counted;

-- kpi_dead_letter: dead letters that analytics put away in the window, by reason.
--   unsettled  of these: redrive has not stored them as an event (yet)
CREATE OR REPLACE VIEW kpi_dead_letter AS
SELECT reason, COUNT(*) AS dead_letters,
       COUNT(CASE WHEN checkout.log_id IS NULL AND `order`.log_id IS NULL AND fulfillment.log_id IS NULL THEN 1 END)
         AS unsettled
FROM dead_letter
LEFT JOIN checkout USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN `order` USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN fulfillment USING (log_id, kafka_partition, kafka_offset)
WHERE dead_letter.received_at BETWEEN kpi_since() AND UTC_TIMESTAMP(6)
GROUP BY reason;

-- kpi_events: one row per topic with the messages of the window, repeated ones included.
--   per_second         their number over the time since the first of them: a window just begun is not diluted
--   newest             broker time of the newest message stored, however old
--   freshness_seconds  now - newest: how far behind the figures are, or how long nothing has happened; never negative
--   ahead_seconds      how far the latest broker time lies ahead of now, or 0. More than a moment: the clock was set
--                      back, and newest is the newest message up to now
CREATE OR REPLACE VIEW kpi_events AS
SELECT topic, events,
       COALESCE(events / GREATEST(1, TIMESTAMPDIFF(MICROSECOND, oldest, UTC_TIMESTAMP(6)) / 1e6), 0) AS per_second,
       newest, TIMESTAMPDIFF(MICROSECOND, newest, UTC_TIMESTAMP(6)) / 1e6 AS freshness_seconds,
       GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), latest) / 1e6, 0)) AS ahead_seconds
FROM (
  SELECT 'checkout' AS topic, COUNT(*) AS events, MIN(kafka_timestamp) AS oldest,
         (SELECT MAX(kafka_timestamp) FROM checkout WHERE kafka_timestamp <= UTC_TIMESTAMP(3)) AS newest,
         (SELECT MAX(kafka_timestamp) FROM checkout) AS latest
  FROM checkout WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
  UNION ALL
  SELECT 'order', COUNT(*), MIN(kafka_timestamp),
         (SELECT MAX(kafka_timestamp) FROM `order` WHERE kafka_timestamp <= UTC_TIMESTAMP(3)),
         (SELECT MAX(kafka_timestamp) FROM `order`)
  FROM `order` WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
  UNION ALL
  SELECT 'fulfillment', COUNT(*), MIN(kafka_timestamp),
         (SELECT MAX(kafka_timestamp) FROM fulfillment WHERE kafka_timestamp <= UTC_TIMESTAMP(3)),
         (SELECT MAX(kafka_timestamp) FROM fulfillment)
  FROM fulfillment WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3)
) AS event;
