-- Append-only: no user may UPDATE or DELETE here. All times are UTC.
--
-- A row of a fact table is one message, and its own bookmark: the next offset to read of a partition is
-- MAX(kafka_offset) + 1 over the topic's fact table and dead_letter. There is no offset table that could drift.
--
-- The fact tables carry no foreign keys: a check per row costs more than the row. The ingest writes a cart and an
-- address in the transaction of the first message that refers to it, and the auditor verifies every reference.
--
-- Every index costs ingest time. by_checkout, by_order: the life of one entity. by_time: a window of time; with the id
-- in it, the KPIs count entities without touching their rows. by_user: whether a customer has ordered before; its
-- order keeps what is written together on one page per customer.

USE analytics;

CREATE TABLE IF NOT EXISTS kafka_log (
  log_id     INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Short name of this log in all other tables',
  topic      VARCHAR(249) NOT NULL COMMENT 'The topic, which is also its fact table',
  topic_id   CHAR(22)     NOT NULL COMMENT 'Kafka''s own id of the topic: another one when it is deleted and recreated',
  cluster_id VARCHAR(64)  NOT NULL COMMENT 'Kafka''s own id of the cluster',
  first_seen DATETIME(6)  NOT NULL DEFAULT UTC_TIMESTAMP(6) COMMENT 'When analytics first met this log',
  PRIMARY KEY (log_id),
  UNIQUE KEY (cluster_id, topic_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'One life of a topic: a topic that is deleted and recreated is another log';

CREATE TABLE IF NOT EXISTS log_partition (
  log_id          INT UNSIGNED NOT NULL COMMENT 'The log',
  kafka_partition INT          NOT NULL COMMENT 'Number of the partition',
  first_seen      DATETIME(6)  NOT NULL DEFAULT UTC_TIMESTAMP(6) COMMENT 'When analytics was first assigned it',
  PRIMARY KEY (log_id, kafka_partition),
  FOREIGN KEY (log_id) REFERENCES kafka_log (log_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'The partitions read so far; a writer locks its rows here, so that a partition has one writer at a time';

CREATE TABLE IF NOT EXISTS accepted_loss (
  log_id          INT UNSIGNED NOT NULL COMMENT 'The log',
  kafka_partition INT          NOT NULL COMMENT 'Number of the partition',
  first_offset    BIGINT       NOT NULL COMMENT 'First offset that is not stored and will not be',
  next_offset     BIGINT       NOT NULL COMMENT 'First offset after the gap',
  recorded_at     DATETIME(6)  NOT NULL DEFAULT UTC_TIMESTAMP(6) COMMENT 'When somebody said --accept-loss to it',
  PRIMARY KEY (log_id, kafka_partition, first_offset, next_offset),
  FOREIGN KEY (log_id) REFERENCES kafka_log (log_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'Ranges of offsets that the topic lost before they were stored (retention, truncation), accepted by a person';

CREATE TABLE IF NOT EXISTS checkout (
  log_id          INT UNSIGNED   NOT NULL COMMENT 'The log that holds the message',
  kafka_partition INT            NOT NULL COMMENT 'Partition of the message',
  kafka_offset    BIGINT         NOT NULL COMMENT 'Offset of the message',
  kafka_timestamp DATETIME(3)    NOT NULL COMMENT 'When the broker appended the message',
  checkout_id     UUID           NOT NULL COMMENT 'The checkout',
  user_id         UUID           NOT NULL COMMENT 'The customer',
  cart_id         UUID           NOT NULL COMMENT 'The cart: rows of cart_item',
  total_amount    DECIMAL(12,2)  NOT NULL COMMENT 'Sum of the cart, in currency',
  currency        CHAR(3)        NOT NULL COMMENT 'ISO 4217',
  payment_method  VARCHAR(32)        NULL COMMENT 'NULL before PaymentMethodSubmitted',
  address_id      UUID               NULL COMMENT 'Row of shipping_address; NULL before AddressSubmitted',
  status ENUM('created', 'AddressSubmitted', 'PaymentMethodSubmitted', 'CheckoutSubmitted') NOT NULL
    COMMENT 'The status that this event reached',
  created_at      DATETIME(6)    NOT NULL COMMENT 'When the checkout was created',
  updated_at      DATETIME(6)        NULL COMMENT 'When this status was reached; NULL: not told, kafka_timestamp stands in',
  PRIMARY KEY (log_id, kafka_partition, kafka_offset),
  KEY by_checkout (checkout_id, status),
  KEY by_time (kafka_timestamp, status, checkout_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'One row per message of topic checkout';

CREATE TABLE IF NOT EXISTS `order` (
  log_id          INT UNSIGNED   NOT NULL COMMENT 'The log that holds the message',
  kafka_partition INT            NOT NULL COMMENT 'Partition of the message',
  kafka_offset    BIGINT         NOT NULL COMMENT 'Offset of the message',
  kafka_timestamp DATETIME(3)    NOT NULL COMMENT 'When the broker appended the message',
  order_id        UUID           NOT NULL COMMENT 'The order',
  checkout_id     UUID           NOT NULL COMMENT 'The checkout that it came from',
  user_id         UUID           NOT NULL COMMENT 'The customer',
  cart_id         UUID           NOT NULL COMMENT 'The cart: rows of cart_item',
  total_amount    DECIMAL(12,2)  NOT NULL COMMENT 'Sum of the cart, in currency',
  currency        CHAR(3)        NOT NULL COMMENT 'ISO 4217',
  payment_method  VARCHAR(32)    NOT NULL COMMENT 'How it is paid',
  address_id      UUID           NOT NULL COMMENT 'Row of shipping_address',
  status ENUM('NEW', 'MERCHANT_ACCEPTED', 'SHIPPED', 'COMPLETED', 'DISPUTED', 'CANCELLED') NOT NULL
    COMMENT 'The status that this event reached',
  created_at      DATETIME(6)    NOT NULL COMMENT 'When the order was placed',
  updated_at      DATETIME(6)        NULL COMMENT 'When this status was reached; NULL: not told, kafka_timestamp stands in',
  PRIMARY KEY (log_id, kafka_partition, kafka_offset),
  KEY by_order (order_id, status),
  KEY by_time (kafka_timestamp, status, order_id),
  KEY by_user (user_id, order_id, status)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'One row per message of topic order';

CREATE TABLE IF NOT EXISTS fulfillment (
  log_id          INT UNSIGNED   NOT NULL COMMENT 'The log that holds the message',
  kafka_partition INT            NOT NULL COMMENT 'Partition of the message',
  kafka_offset    BIGINT         NOT NULL COMMENT 'Offset of the message',
  kafka_timestamp DATETIME(3)    NOT NULL COMMENT 'When the broker appended the message',
  fulfillment_id  UUID           NOT NULL COMMENT 'The fulfillment',
  order_id        UUID           NOT NULL COMMENT 'The order that it fulfills',
  status ENUM('SHIPPED', 'DELIVERED') NOT NULL COMMENT 'The status that this event reached',
  created_at      DATETIME(6)    NOT NULL COMMENT 'When the fulfillment began',
  updated_at      DATETIME(6)        NULL COMMENT 'When this status was reached; NULL: not told, kafka_timestamp stands in',
  PRIMARY KEY (log_id, kafka_partition, kafka_offset),
  KEY by_order (order_id, status),
  KEY by_time (kafka_timestamp, status)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'One row per message of topic fulfillment';

CREATE TABLE IF NOT EXISTS cart_item (
  cart_id    UUID              NOT NULL
    COMMENT 'Content-derived: 6 time bytes of the checkout id (inserts stay in key order), then a hash of all lines',
  line_no    TINYINT UNSIGNED  NOT NULL COMMENT 'Place in the cart, from 1',
  product_id VARCHAR(64)       NOT NULL COMMENT 'The product',
  quantity   SMALLINT UNSIGNED NOT NULL COMMENT 'Pieces',
  price      DECIMAL(10,2)     NOT NULL COMMENT 'Of one piece, in the currency of the checkout',
  PRIMARY KEY (cart_id, line_no)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'The lines of a cart, stored once per checkout and content: all its events refer to the same cart';

CREATE TABLE IF NOT EXISTS shipping_address (
  address_id UUID         NOT NULL COMMENT 'Content-derived: a hash of the other columns',
  name       VARCHAR(100) NOT NULL COMMENT 'Who receives it',
  street     VARCHAR(200) NOT NULL COMMENT 'Street and number',
  zip        VARCHAR(16)  NOT NULL COMMENT 'Postal code',
  city       VARCHAR(100) NOT NULL COMMENT 'City',
  country    CHAR(2)      NOT NULL COMMENT 'ISO 3166-1 alpha-2',
  PRIMARY KEY (address_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'Shipping addresses, each stored once';

CREATE TABLE IF NOT EXISTS dead_letter (
  log_id          INT UNSIGNED  NOT NULL COMMENT 'The log that holds the message',
  kafka_partition INT           NOT NULL COMMENT 'Partition of the message',
  kafka_offset    BIGINT        NOT NULL COMMENT 'Offset of the message',
  kafka_timestamp DATETIME(3)       NULL COMMENT 'When the broker appended the message; NULL: not told, or beyond DATETIME',
  reason          VARCHAR(1000) NOT NULL COMMENT 'Why it could not be stored as an event',
  message_key     LONGBLOB          NULL COMMENT 'Key as received; NULL: none',
  message_value   LONGBLOB          NULL COMMENT 'Value as received; NULL: none',
  headers         LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NULL
    COMMENT 'Headers in order, as name=value&name=value, percent-encoded (name alone: null value); NULL: none',
  received_at     DATETIME(6)   NOT NULL DEFAULT UTC_TIMESTAMP(6) COMMENT 'When analytics put it here',
  PRIMARY KEY (log_id, kafka_partition, kafka_offset),
  KEY by_time (received_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'Messages that are no valid event, whole. One that has a fact row at the same coordinates too is settled (redrive)';
