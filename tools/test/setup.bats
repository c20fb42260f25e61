#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Set-up is tried against a package manager of our own, so nothing is installed here.

setup() {
  tools=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
  work=$(mktemp -d)
  cd "$work" || return 1
  setup=$tools/setup
  mkdir bin
  log=$PWD/log
  : >"$log"
}

teardown() {
  rm -rf "$work"
}

# fake NAME BODY: a command that notes its arguments, then does BODY
fake() {
  printf '#!/bin/sh\necho "%s $*" >>"%s"\n%s\n' "$1" "$log" "$2" >"bin/$1"
  chmod +x "bin/$1"
}

# pkg-config that finds everything but libuv, until something has been installed
without_libuv() {
  fake pkg-config "case \"\$*\" in *libuv*) [ -e '$PWD/installed' ] ;; esac"
  export PKG_CONFIG=$PWD/bin/pkg-config
}

offering() { # offering PACKAGE...: a package manager that has only these
  fake apt-cache "case \" $* \" in
*\" \$2 \"*) echo '  Candidate: 1.0' ;;
*) echo '  Candidate: (none)' ;;
esac"
  fake apt-get "case \"\$*\" in *' install '*) touch '$PWD/installed' ;; esac"
  fake sudo 'exec "$@"'
}

@test "when all is there, no package manager is asked" {
  offering
  PATH=$PWD/bin:$PATH run "$setup" test
  [ "$status" -eq 0 ]
  [ ! -s "$log" ]
}

@test "what is missing is named with its reason, and only that is installed" {
  without_libuv
  offering libuv1-dev
  PATH=$PWD/bin:$PATH run "$setup" run
  [ "$status" -eq 0 ]
  [[ "$output" = *'libuv1-dev'*'the event loop'* ]]
  grep -q '^apt-get .*install .*libuv1-dev *$' "$log"
}

@test "a dry run says what is missing and installs nothing" {
  without_libuv
  offering libuv1-dev
  PATH=$PWD/bin:$PATH run "$setup" -n run
  [ "$status" -eq 1 ]
  [[ "$output" = *libuv1-dev* ]]
  [ ! -e installed ]
}

@test "a system without apt is told what to install" {
  without_libuv
  for tool in sh sed make cc ar lua5.4 id mktemp cat; do ln -s "$(command -v $tool)" bin/; done
  PATH=$PWD/bin CC=true run "$setup" run
  [ "$status" -eq 1 ]
  [[ "$output" = *libuv1-dev*'not a Debian or Ubuntu system'* ]]
}

@test "a package that the system does not offer is named" {
  without_libuv
  offering other
  PATH=$PWD/bin:$PATH run "$setup" run
  [ "$status" -eq 1 ]
  [[ "$output" = *'offers none of: libuv1-dev'* ]]
  [ ! -e installed ]
}

@test "of several names the one that the system offers is taken" {
  fake pkg-config "case \"\$*\" in *msgpack*) [ -e '$PWD/installed' ] ;; esac"
  export PKG_CONFIG=$PWD/bin/pkg-config
  offering libmsgpack-dev
  PATH=$PWD/bin:$PATH run "$setup" run
  [ "$status" -eq 0 ]
  grep -q '^apt-get .*install .*libmsgpack-dev *$' "$log"
}

@test "an installation that changes nothing is a failure" {
  without_libuv
  offering libuv1-dev
  fake apt-get ''
  PATH=$PWD/bin:$PATH run "$setup" run
  [ "$status" -eq 1 ]
  [[ "$output" = *'yet missing'* ]]
}
