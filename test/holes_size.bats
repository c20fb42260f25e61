#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Many and much.

load holes_support
setup() { holes_setup; }
teardown() { holes_teardown; }

@test "ten thousand contexts at once: the link's limit holds, the rest is busy, nobody suffers" {
  hole sizes contexts
  status_is 0
  has $'at once\ttrue\t9745'
  has $'afterwards\talive'
  has $'one after the other\t50005000'
}

@test "two hundred children work, end and are reaped" {
  hole sizes children
  status_is 0
  has $'children\t200'
  has $'left\t0'
}

@test "two hundred children are ended by the death of one, also in the middle of their start" {
  hole sizes massacre
  status_is 0
  says $'false\tdied child-1 9 -'
  has $'left\t0'
}

@test "a parent of a gigabyte spawns like any other" {
  [ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -gt 3000000 ] ||
    skip 'too little memory here'
  hole sizes large_parent
  status_is 0
  for i in 1 2 3 4 5; do has $i; done
  has $'left\t0\t1024'
}
