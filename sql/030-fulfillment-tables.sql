USE fulfillment;

CREATE TABLE IF NOT EXISTS fulfillment (
  fulfillment_id UUID        NOT NULL COMMENT 'The fulfillment',
  order_id       UUID        NOT NULL COMMENT 'The one order that it fulfills',
  status ENUM('SHIPPED', 'DELIVERED') NOT NULL COMMENT 'Its latest published status; it only ever moves forward',
  created_at     DATETIME(6) NOT NULL COMMENT 'When the fulfillment began, UTC',
  updated_at     DATETIME(6) NOT NULL COMMENT 'When the status was reached, UTC',
  PRIMARY KEY (fulfillment_id),
  UNIQUE KEY (order_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'One row per fulfillment: at rest it equals the last event of the fulfillment in the topic';
