#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What a run leaves behind: results.json, and the TAP, JUnit and HTML that are made from it.

bats_require_minimum_version 1.5.0

setup_file() {
  root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  export root
  cd "$root" || return 1
  for kind in bad good; do
    lua5.4 conformance/test/sample.lua "$BATS_FILE_TMPDIR/$kind.json" "$kind"
  done
  # A real run, small: one case that passes, of a peer that needs no building.
  conformance/copse-tck --quiet --trace --only call.echo --json "$BATS_FILE_TMPDIR/run.json" \
    --junit "$BATS_FILE_TMPDIR/run.xml" --tap "$BATS_FILE_TMPDIR/run.tap" \
    --html "$BATS_FILE_TMPDIR/run.html" -- lua5.4 conformance/peer/testee.lua \
    >"$BATS_FILE_TMPDIR/run.out" 2>&1
}

setup() {
  cd "$root" || return 1
  in=$BATS_FILE_TMPDIR
  out=$BATS_TEST_TMPDIR
}

tck() {
  run "$root/conformance/copse-tck" "$@"
}

@test "a run writes all four files, and says what came of it" {
  grep -q '1 PASS' "$in/run.out"
  grep -q 'no verdict on the whole' "$in/run.out"
  grep -qE 'core +PARTIAL' "$in/run.out"
  [ "$(jq -r '."copse-tck-results"' "$in/run.json")" = 1 ]
  [ "$(jq -r '.cases[0] | [.id, .verdict, .profile] | join(" ")' "$in/run.json")" = 'call.echo PASS core' ]
  [ "$(jq '.exit' "$in/run.json")" = 0 ]
  grep -q '^ok 1 - call.echo' "$in/run.tap"
  grep -q 'name="call.echo"' "$in/run.xml"
  grep -q 'call.echo' "$in/run.html"
}

@test "the wire log has every frame with its bytes, its context and its states" {
  jq -e '.cases[0].events | map(select(.kind == "OPEN" and (.text | contains("tck.echo")))) | .[0] |
    .dir == ">" and .before != .after and (.bytes | startswith("0000")) and .size * 2 == (.bytes | length)' \
    "$in/run.json"
  # The header says how long the payload is.
  [ "$(jq -r '.cases[0].events[] | select(.kind == "RETURN" and (.text | endswith(" 7"))) | .bytes' \
    "$in/run.json" | head -n 1 | cut -c 1-8)" = 00000117 ]
}

@test "results are text that any reader of JSON takes, whatever the peer has said" {
  iconv -f UTF-8 -t UTF-8 "$in/bad.json" >/dev/null
  jq -e '.cases[] | select(.id == "bad.frame") | .stderr | startswith("last words \\xff\\x00\\x1b[1m")' \
    "$in/bad.json"
}

@test "checks that are alike are one that counts, and point at the event that they are about" {
  jq -e '.cases[] | select(.id == "bad.frame") | .checks | length == 2 and .[0].times == 2
    and .[0].event == 5 and .[1].event == 4' "$in/bad.json"
}

@test "the byte to blame is that of the value, or of the payload that is none" {
  jq -e '.cases[] | select(.id == "bad.frame") | [.events[] | .fault | select(.) | [.first, .last]]
    == [[18, 18], [12, 12]]' "$in/bad.json"
}

@test "results.json is the same bytes again when it is read and written" {
  tck report "$in/bad.json" --json "$out/again.json"
  [ "$status" -eq 0 ]
  cmp "$in/bad.json" "$out/again.json"
}

@test "every field of results.json is described" {
  fields() {
    jq -r 'def cut: del(.counts, .machines[].tables[].rows[5:], .profiles[].counts);
      cut | [paths | map(select(type == "string"))[-1]] | unique[] | select(.)' "$1"
  }
  { fields "$in/bad.json" && fields "$in/run.json"; } | sort -u >"$out/fields"
  [ "$(wc -l <"$out/fields")" -gt 50 ]
  while read -r field; do
    grep -qF "\`$field\`" docs/results.md || { echo "not in docs/results.md: $field" && false; }
  done <"$out/fields"
}

@test "JUnit is valid by its schema and adds up" {
  for kind in bad good run; do
    tck report "$in/$kind.json" --junit "$out/$kind.xml"
    [ "$status" -eq 0 ]
    xmllint --noout --schema "$BATS_TEST_DIRNAME/junit.xsd" "$out/$kind.xml"
  done
  of() { xmllint --xpath "$1" "$out/bad.xml"; }
  [ "$(of 'string(/testsuites/@tests)')" = "$(of 'count(//testcase)')" ]
  [ "$(of 'string(/testsuites/@failures)')" = "$(of 'count(//failure)')" ]
  [ "$(of 'string(/testsuites/@errors)')" = "$(of 'count(//error)')" ]
  [ "$(of 'count(//failure)')" = 3 ]
  [ "$(of 'count(//error)')" = 2 ]
  [ "$(of 'count(//skipped)')" = 3 ]
  # The words of the peer arrive as they were.
  of 'string(//testcase[@name="bad.frame"]/failure)' | grep -qF '<img src=x onerror='
}

@test "the schema refuses what is no JUnit" {
  sed 's/<failure message="[^"]*" type="TIMEOUT">/<failure>/' "$in/run.xml" >"$out/same.xml"
  xmllint --noout --schema "$BATS_TEST_DIRNAME/junit.xsd" "$out/same.xml"
  tck report "$in/bad.json" --junit "$out/bad.xml"
  sed 's/ type="TIMEOUT"//' "$out/bad.xml" >"$out/typeless.xml"
  run ! xmllint --noout --schema "$BATS_TEST_DIRNAME/junit.xsd" "$out/typeless.xml"
  sed 's/ name="bad.timeout"//' "$out/bad.xml" >"$out/nameless.xml"
  run ! xmllint --noout --schema "$BATS_TEST_DIRNAME/junit.xsd" "$out/nameless.xml"
}

@test "TAP has its plan, a line for each case, and what was wrong" {
  tck report "$in/bad.json" --tap "$out/bad.tap"
  [ "$(sed -n 1p "$out/bad.tap")" = 'TAP version 14' ]
  cases=$(jq '.cases | length' "$in/bad.json")
  [ "$(sed -n 2p "$out/bad.tap")" = "1..$cases" ]
  [ "$(grep -cE '^(not )?ok [0-9]+ - ' "$out/bad.tap")" = "$cases" ]
  [ "$(grep -c '^not ok' "$out/bad.tap")" = 5 ]
  [ "$(grep -c '# SKIP ' "$out/bad.tap")" = 3 ]
  grep -q '^  verdict: TIMEOUT$' "$out/bad.tap"
  # A title is one line, and no directive.
  run ! grep -q '^[^ ].*onerror.*# ' "$out/bad.tap"
}

@test "without a file the words of the run come again, with its exit status" {
  tck report "$in/bad.json"
  [ "$status" -eq 1 ]
  [[ $output == *'CRASH       bad.crash'* ]]
  [[ $output == *'Expected: this'* ]]
  [[ $output == *'Next: conformance/copse-tck --trace --only bad.timeout -- build/sample '* ]]
  [[ $output == *'core      NOT CONFORMANT  757 ran, 5 red'* ]]
  tck report "$in/good.json"
  [ "$status" -eq 0 ]
}

@test "a report goes to the standard output when it is asked to" {
  tck report "$in/good.json" --tap=-
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 'TAP version 14' ]
}

@test "the HTML holds nothing that was said as markup, and asks no network" {
  tck report "$in/bad.json" --html "$out/bad.html"
  [ "$status" -eq 0 ]
  [ "$(grep -c '<script' "$out/bad.html")" = 2 ]
  run ! grep -q '<img' "$out/bad.html"
  run ! grep -qE '(src|href)="?https?:|@import|url\(' "$out/bad.html"
}

@test "what is not results.json is refused with a reason" {
  echo '{"copse-tck-results": 2}' >"$out/later.json"
  tck report "$out/later.json"
  [ "$status" -eq 2 ]
  [[ $output == *'version 2'* ]]
  echo '[]' >"$out/list.json"
  tck report "$out/list.json"
  [ "$status" -eq 2 ]
  echo 'not json' >"$out/no.json"
  tck report "$out/no.json"
  [ "$status" -eq 2 ]
  [[ $output == *'not JSON'* ]]
  tck report "$out/absent.json"
  [ "$status" -eq 2 ]
  tck report "$in/good.json" --frobnicate
  [ "$status" -eq 2 ]
}

@test "a file that cannot be written is an error" {
  tck report "$in/good.json" --html "$out/no/such/place.html"
  [ "$status" -eq 2 ]
  [[ $output == *'no/such/place.html'* ]]
}
