-- The KPIs about time: how long steps take, and what has waited for too long.
-- What a window is, and who counts in it: 040-analytics-kpis.sql.
--
-- A step runs from the first message with the one status to the first with the other, by updated_at, or by
-- kafka_timestamp where a message does not tell updated_at. What is still open is as old as kafka_timestamp says. A
-- step that ended before it began, because a clock was set back meanwhile, is not timed.
-- STRAIGHT_JOIN: the few that the window holds come first; the optimizer overrates them and may start elsewhere.

USE analytics;

-- kpi_duration: seconds that the steps took which ended in the window; always one row per step.
--   step_no, step  1 'checkout' (created -> CheckoutSubmitted), 2 'accept' (NEW -> MERCHANT_ACCEPTED),
--                  3 'ship' (MERCHANT_ACCEPTED -> SHIPPED of the order), 4 'deliver' (SHIPPED -> DELIVERED of the
--                  fulfillment); what an entity begins with has the time created_at, which each of its messages tells
--   entities       checkouts, orders or fulfillments that ended it, each once; 'ship' without an order's acceptance
--                  does not count
--   p50, p90, p99  percentiles by nearest rank: so many of them took at most this long; NULL where none ended
CREATE OR REPLACE VIEW kpi_duration AS
WITH ended AS (
  SELECT 1 AS step_no,
         TIMESTAMPDIFF(MICROSECOND, MIN(created_at), MIN(COALESCE(updated_at, kafka_timestamp))) / 1e6 AS took
  FROM checkout FORCE INDEX (by_time)
  WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status = 'CheckoutSubmitted'
  GROUP BY checkout_id
  UNION ALL
  SELECT 2 AS step_no,
         TIMESTAMPDIFF(MICROSECOND, MIN(created_at), MIN(COALESCE(updated_at, kafka_timestamp))) / 1e6 AS took
  FROM `order` FORCE INDEX (by_time)
  WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status = 'MERCHANT_ACCEPTED'
  GROUP BY order_id
  UNION ALL
  SELECT 3 AS step_no, TIMESTAMPDIFF(
           MICROSECOND,
           MIN(CASE WHEN event.status = 'MERCHANT_ACCEPTED' THEN COALESCE(updated_at, kafka_timestamp) END),
           MIN(CASE WHEN event.status = 'SHIPPED' THEN COALESCE(updated_at, kafka_timestamp) END)
         ) / 1e6 AS took
  FROM (SELECT DISTINCT order_id FROM `order` FORCE INDEX (by_time)
        WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status = 'SHIPPED') AS entity
  STRAIGHT_JOIN `order` AS event USING (order_id)
  WHERE event.status IN ('MERCHANT_ACCEPTED', 'SHIPPED')
  GROUP BY order_id
  UNION ALL
  SELECT 4 AS step_no,
         TIMESTAMPDIFF(MICROSECOND, MIN(created_at), MIN(COALESCE(updated_at, kafka_timestamp))) / 1e6 AS took
  FROM fulfillment FORCE INDEX (by_time)
  WHERE kafka_timestamp BETWEEN kpi_since() AND UTC_TIMESTAMP(3) AND status = 'DELIVERED'
  GROUP BY fulfillment_id
), ranked AS (
  SELECT step_no, took, CUME_DIST() OVER (PARTITION BY step_no ORDER BY took) AS part
  FROM ended WHERE took >= 0
)
SELECT step_no, step, COUNT(took) AS entities,
       MIN(CASE WHEN part >= 0.50 THEN took END) AS p50,
       MIN(CASE WHEN part >= 0.90 THEN took END) AS p90,
       MIN(CASE WHEN part >= 0.99 THEN took END) AS p99
FROM (
  SELECT 1 AS step_no, 'checkout' AS step
  UNION ALL SELECT 2, 'accept' UNION ALL SELECT 3, 'ship' UNION ALL SELECT 4, 'deliver'
) AS name
LEFT JOIN ranked USING (step_no)
GROUP BY step_no, step;

-- open_order: the orders placed in the last six windows that are neither COMPLETED nor CANCELLED.
--   placed_at      broker time of the first message
--   status, since  the status reached last (a repeated message reaches nothing), and when, in broker time
-- As in order_in_window, what was placed earlier and is only repeated here is left out, and few ids need looking up.
CREATE OR REPLACE VIEW open_order AS
SELECT order_id, placed_at, since,
       CASE WHEN since = disputed THEN 'DISPUTED'
            WHEN since = shipped THEN 'SHIPPED'
            WHEN since = accepted THEN 'MERCHANT_ACCEPTED'
            ELSE 'NEW' END AS status
FROM (
  SELECT order_id, placed_at, accepted, shipped, disputed,
         GREATEST(placed_at, COALESCE(accepted, placed_at), COALESCE(shipped, placed_at),
                  COALESCE(disputed, placed_at)) AS since
  FROM (
    SELECT order_id, MIN(kafka_timestamp) AS placed_at,
           MIN(CASE WHEN status = 'MERCHANT_ACCEPTED' THEN kafka_timestamp END) AS accepted,
           MIN(CASE WHEN status = 'SHIPPED' THEN kafka_timestamp END) AS shipped,
           MIN(CASE WHEN status = 'DISPUTED' THEN kafka_timestamp END) AS disputed
    FROM `order` FORCE INDEX (by_time)
    WHERE kafka_timestamp BETWEEN kpi_open_since() AND UTC_TIMESTAMP(3)
    GROUP BY order_id
    HAVING MAX(status = 'NEW') AND NOT MAX(status IN ('COMPLETED', 'CANCELLED'))
  ) AS reached
  WHERE order_id BETWEEN kpi_first_id(kpi_open_since()) AND kpi_first_id(UTC_TIMESTAMP(3))
     OR NOT EXISTS (SELECT 1 FROM `order` AS earlier
                    WHERE earlier.order_id = reached.order_id AND earlier.kafka_timestamp < reached.placed_at)
) AS latest;

-- kpi_open_order: open orders by status and age; pairs without one are left out.
--   status          the status reached last
--   age             time since the order was placed: 'under 10 s', 'under 1 min', 'under 10 min', 'older'
--   orders          their number
--   oldest_seconds  age of the oldest of them
CREATE OR REPLACE VIEW kpi_open_order AS
SELECT status,
       CASE WHEN seconds < 10 THEN 'under 10 s' WHEN seconds < 60 THEN 'under 1 min'
            WHEN seconds < 600 THEN 'under 10 min' ELSE 'older' END AS age,
       COUNT(*) AS orders, MAX(seconds) AS oldest_seconds
FROM (
  SELECT status, TIMESTAMPDIFF(MICROSECOND, placed_at, UTC_TIMESTAMP(6)) / 1e6 AS seconds FROM open_order
) AS aged
GROUP BY status, age;

-- order_patience: how long orders may stay in a status that they should leave.
--   seconds  ten times the median of the steps out of it that ended in the last six windows, the newest 1000 at most
--            (more would cost more and tell the same); at least 1, as what is stored is always a little behind
CREATE OR REPLACE VIEW order_patience AS
SELECT DISTINCT status, GREATEST(1, 10 * MEDIAN(took) OVER (PARTITION BY status)) AS seconds
FROM (
  SELECT 'NEW' AS status, TIMESTAMPDIFF(MICROSECOND, COALESCE(began.updated_at, began.kafka_timestamp),
                                      COALESCE(ended.updated_at, ended.kafka_timestamp)) / 1e6 AS took
  FROM (SELECT order_id, updated_at, kafka_timestamp FROM `order` FORCE INDEX (by_time)
        WHERE kafka_timestamp BETWEEN kpi_open_since() AND UTC_TIMESTAMP(3) AND status = 'MERCHANT_ACCEPTED'
        ORDER BY kafka_timestamp DESC LIMIT 1000) AS ended
  STRAIGHT_JOIN `order` AS began USING (order_id) WHERE began.status = 'NEW'
  UNION ALL
  SELECT 'MERCHANT_ACCEPTED', TIMESTAMPDIFF(MICROSECOND, COALESCE(began.updated_at, began.kafka_timestamp),
                        COALESCE(ended.updated_at, ended.kafka_timestamp)) / 1e6
  FROM (SELECT order_id, updated_at, kafka_timestamp FROM `order` FORCE INDEX (by_time)
        WHERE kafka_timestamp BETWEEN kpi_open_since() AND UTC_TIMESTAMP(3) AND status = 'SHIPPED'
        ORDER BY kafka_timestamp DESC LIMIT 1000) AS ended
  STRAIGHT_JOIN `order` AS began USING (order_id) WHERE began.status = 'MERCHANT_ACCEPTED'
  UNION ALL
  SELECT 'SHIPPED', TIMESTAMPDIFF(MICROSECOND, COALESCE(began.updated_at, began.kafka_timestamp),
                        COALESCE(ended.updated_at, ended.kafka_timestamp)) / 1e6
  FROM (SELECT order_id, updated_at, kafka_timestamp FROM `order` FORCE INDEX (by_time)
        WHERE kafka_timestamp BETWEEN kpi_open_since() AND UTC_TIMESTAMP(3) AND status = 'COMPLETED'
        ORDER BY kafka_timestamp DESC LIMIT 1000) AS ended
  STRAIGHT_JOIN `order` AS began USING (order_id) WHERE began.status = 'SHIPPED'
  UNION ALL
  SELECT 'DISPUTED', TIMESTAMPDIFF(MICROSECOND, COALESCE(began.updated_at, began.kafka_timestamp),
                        COALESCE(ended.updated_at, ended.kafka_timestamp)) / 1e6
  FROM (SELECT order_id, updated_at, kafka_timestamp FROM `order` FORCE INDEX (by_time)
        WHERE kafka_timestamp BETWEEN kpi_open_since() AND UTC_TIMESTAMP(3) AND status = 'CANCELLED'
        ORDER BY kafka_timestamp DESC LIMIT 1000) AS ended
  STRAIGHT_JOIN `order` AS began USING (order_id) WHERE began.status = 'DISPUTED'
) AS step
WHERE took >= 0;

-- kpi_stuck_order: open orders that have been in their status for too long, at most 100, the longest first.
--   status   the status reached last
--   missing  topic and status of the message that should have come: its service is the one to look at
--   seconds  time in the status: more than order_patience says, or than 60 where no such step has ended
CREATE OR REPLACE VIEW kpi_stuck_order AS
SELECT order_id, status,
       CASE status
         WHEN 'NEW' THEN 'order MERCHANT_ACCEPTED'
         WHEN 'MERCHANT_ACCEPTED' THEN CASE WHEN shipped THEN 'order SHIPPED' ELSE 'fulfillment SHIPPED' END
         WHEN 'SHIPPED' THEN CASE WHEN delivered THEN 'order COMPLETED' ELSE 'fulfillment DELIVERED' END
         ELSE 'order CANCELLED'
       END AS missing,
       seconds
FROM (
  SELECT order_id, stuck.status, seconds,
         MAX(fulfillment.status = 'SHIPPED') AS shipped, MAX(fulfillment.status = 'DELIVERED') AS delivered
  FROM (
    SELECT order_id, status, TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(6)) / 1e6 AS seconds
    FROM open_order LEFT JOIN order_patience USING (status)
    WHERE TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(6)) / 1e6 > COALESCE(order_patience.seconds, 60)
    ORDER BY since, order_id LIMIT 100
  ) AS stuck
  LEFT JOIN fulfillment USING (order_id)
  GROUP BY order_id, stuck.status, seconds
) AS known
ORDER BY seconds DESC, order_id;
