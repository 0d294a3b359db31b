-- The two databases of the shop. Every file here may be applied again at any time, as root, in the order of its number.
-- Text is compared byte by byte and without padding (utf8mb4_nopad_bin): 'a' <> 'A', 'a' <> 'a '.

CREATE DATABASE IF NOT EXISTS analytics CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'Every event of the shop, append-only, one row per Kafka message, and the KPI views';

CREATE DATABASE IF NOT EXISTS fulfillment CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'The present state of every fulfillment: a projection of the fulfillment topic';
