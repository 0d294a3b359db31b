#!/usr/bin/env -S bash -p
. "$(dirname -- "$0")/kafka-tool"
