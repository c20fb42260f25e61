#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# copse decode: bytes to lines, and no bytes that break it.

load support
setup() { support_setup; }
teardown() { support_teardown; }

# Hexadecimal digits to bytes.
bytes() {
  printf '%b' "$(tr -d ' \n' | sed 's/../\\x&/g')"
}

@test "a frame becomes a line with offset, kind, context, length and payload" {
  run copse decode <<<'00000a10 0000000000000003 81a6746172676574a178'
  status_is 0
  has '00000000 OPEN            3       10  {"target": "x"}'
}

@test "bytes and hexadecimal digits are told apart" {
  bytes <<<'00000013 0000000000000003' >frames
  run copse decode frames
  status_is 0
  says 'END '
  run copse decode --hex frames
  status_is 1
  says 'no hexadecimal digit'
}

@test "directions and comments of hexadecimal input are kept apart" {
  run copse decode <<'END'
# a call
> 00000a10 0000000000000001 81a6746172676574a178   # x()
< 00000117 0000000000000001 2a
END
  status_is 0
  has '00000000 > OPEN            1       10  {"target": "x"}'
  has '00000016 < RETURN          1        1  42'
}

@test "fragments are joined, and the last one shows the message" {
  run copse decode <<<'00000292 0000000000000001 9201 00000112 0000000000000001 02'
  status_is 0
  has '00000000 ITEM+           1        2  (a fragment)'
  has '0000000e ITEM            1        1  [1, 2]'
}

@test "CREDIT and STOP may pass between fragments, END discards them" {
  run copse decode <<<'00000292 0000000000000001 9201 00000315 0000000000000001 920102
    00000112 0000000000000001 02
    00000292 0000000000000001 9201 00000013 0000000000000001 00000112 0000000000000001 02'
  status_is 0
  [ "$(grep -c '\[1, 2\]' <<<"$output")" -eq 2 ] # the message and the credit
}

@test "of more unfinished messages than anybody keeps the first are given up, which is told" {
  for context in $(seq 257); do printf '00000192 %016x 92\n' "$context"; done >hex
  # The second is finished, and of the first nothing is known any more.
  printf '00000212 %016x 0102\n' 2 1 >>hex
  run copse decode hex
  status_is 1
  says 'more than 256 unfinished messages: that of context 1 is given up'
  [ "$(grep -c 'given up' <<<"$output")" -eq 1 ]
  has '00000d0d ITEM            2        2  [1, 2]'
  [ "$(grep -c '\[1, 2\]' <<<"$output")" -eq 1 ]
}

@test "what is wrong is marked with the offset of the byte, and decoding goes on" {
  run copse decode <<<'00000112 0000000000000001 c1 00000013 0000000000000001'
  status_is 1
  says '0000000c  ! '
  says '(byte c1)'
  says 'END '
}

@test "each rule that a frame shows by itself is checked" {
  while IFS='|' read -r hex reason; do
    run copse decode <<<"$hex"
    status_is 1
    says "$reason"
  done <<'END'
00000033 0000000000000001|there is no such kind of frame
00000013 0000000000000000|context 0 is the link
00000101 0000000000000001 80|HELLO belongs to the link
00000113 0000000000000001 c0|END carries no payload
00000012 0000000000000001|ITEM carries one value, and here is none
00000110 0000000000000001 c0|the payload of OPEN is a map
00000115 0000000000000001 c0|the payload of CREDIT is [items, bytes]
00000181 0000000000000000 80|HELLO is never split
00000092 0000000000000001|a fragment with more to come is not empty
00000013 0020000000000001|below 2^53
00000212 0000000000000001 c0c0|! 
00000112 00000000000000|inside a header
00000512 0000000000000001 c0|inside a frame
END
}

@test "an unknown kind of the extension range is no fault" {
  run copse decode <<<'00000041 0000000000000001'
  status_is 0
  says 'kind 41'
}

@test "no input whatever makes it crash" {
  for seed in $(seq 60); do
    # The same bytes on every run.
    awk -v seed="$seed" 'BEGIN { srand(seed); n = int(rand() * 300)
      for (i = 0; i < n; i++)
        printf "%02x", i % 12 < 2 && rand() < .8 ? 0 : int(rand() * 256) }' >hex
    run copse decode hex
    [ "$status" -le 1 ] || {
      cat hex
      return 1
    }
  done
}

@test "a file that is not there is told from a wrong command line, and both from bad digits" {
  run copse decode no-such-file
  status_is 3
  says 'No such file'
  run copse decode --no-such-option
  status_is 2
  for digits in 0 '0 0' 0x00; do
    run copse decode --hex <<<"$digits"
    status_is 1
  done
  run copse decode --hex <<<'0'
  says 'stands alone'
}

@test "control characters in a payload never reach the terminal" {
  run copse decode <<<'00000512 0000000000000001 a41b5b33 6d'
  status_is 0
  [[ $output != *$'\033'* ]]
}
