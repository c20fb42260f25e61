-- SPDX-License-Identifier: MIT
--
-- Which cases have failed for which requirement of which mutant: written by
-- `mutate --full --write`.

return {
  ["actors/asks-before-it-is-asked"] = {
    ["ACTOR-002"] = { "spawn.quiet" },
    ["ACTOR-015"] = { "hello.late-acceptor" },
  },
  ["actors/changes-are-told-twice"] = {
    ["REG-006"] = { "registry.watch.many", "registry.watch.credit" },
  },
  ["actors/cuts-short"] = {
    ["ACTOR-010"] = { "registry.client.finish" },
    ["ACTOR-011"] = { "registry.finish.held" },
    ["ACTOR-012"] = { "spawn.end.drains", "spawn.end.opens-on" },
  },
  ["actors/dies-of-an-error"] = {
    ["ACTOR-012"] = { "spawn.cancel-mess" },
    ["ERROR-011"] = { "error.isolated" },
    ["KIND-018"] = { "error.pass.whole", "many.mixed.5.dialled" },
  },
  ["actors/end-is-not-enough"] = {
    ["REG-002"] = { "registry.register" },
  },
  ["actors/exits-with-any-status"] = {
    ["SPAWN-014"] = { "spawn.bad-args.log", "spawn.bad-args.grace" },
  },
  ["actors/exits-with-one"] = {
    ["SPAWN-014"] = { "spawn.cancel-mess", "child.parent-ends" },
  },
  ["actors/exports-under-every-name"] = {
    ["ACTOR-007"] = { "refusal.reserved.parent", "refusal.reserved.dialled" },
  },
  ["actors/finishes-at-once"] = {
    ["ACTOR-012"] = { "spawn.end.drains", "spawn.end.other-link-finishes" },
  },
  ["actors/forgets-nothing"] = {
    ["REG-001"] = { "registry.register" },
    ["REG-003"] = { "registry.twice", "registry.order" },
    ["REG-004"] = { "registry.names" },
    ["REG-006"] = { "registry.watch.credit", "registry.watch.many" },
  },
  ["actors/goes-without-the-rest"] = {
    ["ACTOR-016"] = { "child.parent-ends", "spawn.cancel.error" },
  },
  ["actors/half-a-testee"] = {
    ["EXT-001"] = { "probe" },
  },
  ["actors/hands-its-link-on"] = {
    ["SPAWN-008"] = {
      "child.descriptors.own-link.stdio-pair",
      "child.descriptors.own-link.pair",
    },
  },
  ["actors/hands-its-variables-on"] = {
    ["ACTOR-001"] = { "child.died.last-frames" },
    ["ACTOR-005"] = { "child.own.many", "death.tree.loss-1" },
    ["SPAWN-007"] = { "child.environment.own", "child.environment.removed" },
  },
  ["actors/holds-on"] = {
    ["ACTOR-011"] = { "registry.finish.held" },
  },
  ["actors/items-without-a-name"] = {
    ["REG-007"] = { "registry.watch.name" },
  },
  ["actors/leaves-stdio"] = {
    ["SPAWN-009"] = { "spawn.stdio.moved" },
  },
  ["actors/listens-where-it-can"] = {
    ["ACTOR-006"] = { "spawn.bad-args.unlistenable" },
  },
  ["actors/listens-while-finishing"] = {
    ["ACTOR-010"] = { "spawn.end.stops-listening" },
  },
  ["actors/lists-nothing"] = {
    ["REG-001"] = { "registry.register" },
    ["REG-003"] = { "registry.twice", "registry.order" },
    ["REG-004"] = { "registry.names" },
    ["REG-006"] = { "registry.watch.changes" },
    ["REG-008"] = { "registry.watch.bound" },
  },
  ["actors/lives-on"] = {
    ["SPAWN-014"] = { "probe" },
  },
  ["actors/newest-first"] = {
    ["REG-003"] = { "registry.order" },
  },
  ["actors/no-watchdog"] = {
    ["SPAWN-023"] = { "death.loss.spin" },
  },
  ["actors/nobody-is-an-error"] = {
    ["REG-004"] = { "registry.order", "registry.names" },
  },
  ["actors/one-name-one-actor"] = {
    ["REG-003"] = { "registry.order", "registry.twice" },
  },
  ["actors/outlives-its-parent"] = {
    ["SPAWN-023"] = { "death.loss.hang" },
    ["SPAWN-024"] = { "death.link.hello-only" },
  },
  ["actors/registers-anyone"] = {
    ["REG-009"] = { "registry.denied" },
  },
  ["actors/removals-are-not-told"] = {
    ["REG-006"] = { "registry.watch.many", "registry.watch.credit" },
  },
  ["actors/says-no-token"] = {
    ["SPAWN-006"] = { "spawn.link.tcp", "spawn.link.unix" },
  },
  ["actors/serves-before-it-is-ready"] = {
    ["ACTOR-003"] = { "spawn.not-ready" },
    ["CTX-010"] = { "refusal.first.not-ready" },
  },
  ["actors/serves-while-finishing"] = {
    ["ACTOR-009"] = { "spawn.end.drains", "refusal.first.closing" },
  },
  ["actors/sigint-kills"] = {
    ["LADDER-004"] = { "death.sigint.idle", "death.sigint.busy" },
    ["ODD-004"] = { "death.sigint.idle", "death.sigint.busy" },
  },
  ["actors/sigterm-is-requested"] = {
    ["LADDER-003"] = { "death.sigterm.idle", "death.sigterm.busy" },
  },
  ["actors/sigterm-kills"] = {
    ["LADDER-003"] = { "death.sigterm.idle", "death.sigterm.busy" },
    ["ODD-004"] = { "death.sigterm.idle", "death.sigterm.busy" },
  },
  ["actors/stays-registered"] = {
    ["ACTOR-010"] = { "registry.client.finish" },
  },
  ["actors/takes-a-name-of-its-own"] = {
    ["SPAWN-005"] = { "hello.said", "spawn.link.fd" },
  },
  ["actors/takes-an-id-of-its-own"] = {
    ["ACTOR-005"] = { "death.tree.loss-1", "child.own.echo" },
    ["SPAWN-005"] = { "spawn.link.stdio-pair", "spawn.link.high" },
  },
  ["actors/takes-any-arguments"] = {
    ["ACTOR-006"] = { "spawn.bad-args.log", "spawn.bad-args.debug" },
  },
  ["actors/tells-no-addresses"] = {
    ["ACTOR-005"] = { "spawn.args.all" },
  },
  ["actors/two-parents"] = {
    ["ACTOR-004"] = { "spawn.denied" },
    ["SEC-002"] = { "abuse.claimed-identity" },
  },
  ["actors/waits-for-every-reader"] = {
    ["ACTOR-013"] = { "spawn.end.other-link" },
  },
  ["actors/waits-for-nothing"] = {
    ["DEADLINE-002"] = { "registry.wait.deadline" },
    ["REG-005"] = { "registry.wait.gone", "registry.wait.later" },
  },
  ["actors/waits-for-the-next"] = {
    ["REG-005"] = { "registry.wait.there" },
  },
  ["actors/wants-its-group"] = {
    ["SPAWN-010"] = { "spawn.actor.foreign-group", "spawn.actor.foreign-group.boot-id" },
  },
  ["actors/watchers-without-bound"] = {
    ["REG-008"] = { "registry.watch.bound" },
  },
  ["actors/watches-all-names"] = {
    ["REG-007"] = { "registry.watch.name" },
  },
  ["calls/arguments-backwards"] = {
    ["KIND-012"] = { "refusal.positional", "call.unknown-arguments.parent" },
  },
  ["calls/arguments-before-the-deadline"] = {
    ["CTX-010"] = { "refusal.order.deadline", "refusal.first.deadline.parent" },
  },
  ["calls/bad-args-is-failed"] = {
    ["KIND-013"] = { "refusal.positional", "registry.bad-args.no-ref" },
  },
  ["calls/bye-names-no-context"] = {
    ["KIND-002"] = { "bye.last.violation", "cancel.then.end.parent" },
  },
  ["calls/bye-names-no-last"] = {
    ["KIND-003"] = { "bye.answered", "bye.last.violation" },
  },
  ["calls/cancelled-without-cancel"] = {
    ["CANCEL-011"] = { "cancel.unasked.error", "cancel.unasked.parent" },
    ["CTX-005"] = { "terminal.unasked" },
  },
  ["calls/deadline-before-refusals"] = {
    ["CTX-010"] = { "spawn.denied", "spawn.end.drains" },
  },
  ["calls/dials-again-after-a-loss"] = {
    ["CTX-008"] = { "loss.no-retry" },
  },
  ["calls/error-waits-for-its-end"] = {
    ["KIND-021"] = { "state.opener-out.open.terminal" },
  },
  ["calls/first-fragment-is-all"] = {
    ["CTX-003"] = { "message.last-fragment", "message.first-fragment.item.parent" },
  },
  ["calls/held-without-send"] = {
    ["KIND-011"] = { "stop.opener", "registry.client" },
  },
  ["calls/implied-stop-is-answered"] = {
    ["ACTOR-012"] = { "hello.late-acceptor" },
    ["STREAM-003"] = { "hello.late-acceptor" },
  },
  ["calls/items-before-started"] = {
    ["KIND-017"] = { "queued.order", "stream.out.1.parent" },
    ["STREAM-010"] = { "stream.out.1.parent", "stream.out.2.parent" },
  },
  ["calls/last-is-its-own"] = {
    ["KIND-003"] = { "bye.waits", "bye.answered" },
  },
  ["calls/loss-is-a-failure"] = {
    ["CTX-004"] = { "loss.no-retry" },
  },
  ["calls/loss-is-forgotten"] = {
    ["CTX-004"] = { "loss.no-retry" },
  },
  ["calls/newest-first"] = {
    ["KIND-015"] = { "order.complete.dialled", "order.begin.parent" },
  },
  ["calls/newest-item-first"] = {
    ["CTX-009"] = { "order.within.parent", "order.within.dialled" },
    ["STREAM-010"] = { "stream.both.pipelined.parent" },
  },
  ["calls/no-cancelled"] = {
    ["CANCEL-005"] = { "cancel.at-waiting.error" },
  },
  ["calls/no-credit-is-boundless"] = {
    ["KIND-010"] = { "registry.watch.no-credit" },
    ["STREAM-003"] = { "registry.watch.no-credit", "open.credit.absent.parent" },
    ["STREAM-005"] = { "open.credit.absent.parent", "open.credit.absent.dialled" },
  },
  ["calls/no-positional-arguments"] = {
    ["KIND-012"] = { "call.args.parent", "call.args.dialled" },
    ["KIND-018"] = { "vector.whole.call" },
  },
  ["calls/no-target-is-not-found"] = {
    ["KIND-014"] = { "refusal.reserved.parent", "extension.targets.parent" },
  },
  ["calls/no-target-is-silence"] = {
    ["ERROR-005"] = { "refusal.below.no-target" },
    ["KIND-014"] = { "refusal.no-target.stream" },
  },
  ["calls/open-again"] = {
    ["CTX-002"] = { "state.callee.ended.open.error.dialled" },
  },
  ["calls/open-twice"] = {
    ["CTX-002"] = { "state.callee.running.open.parent" },
  },
  ["calls/pong-comes-first"] = {
    ["KIND-006"] = { "barrier.stop", "barrier.denied" },
  },
  ["calls/pong-is-encoded-anew"] = {
    ["KIND-005"] = { "ping.single.parent" },
  },
  ["calls/pong-was-not-asked-for"] = {
    ["KIND-008"] = { "abuse.pong.flood", "vector.whole.pong-unsolicited" },
    ["KIND-018"] = { "pong.unasked.parent", "pong.unasked.dialled" },
  },
  ["calls/ran-is-always-false"] = {
    ["CTX-006"] = { "terminal.ran.parent", "terminal.ran.dialled" },
    ["DEADLINE-002"] = { "deadline.both-ends" },
    ["LINK-006"] = { "bye.waits.relay-cancelled" },
  },
  ["calls/ran-is-always-true"] = {
    ["CTX-006"] = { "terminal.ran.parent", "terminal.ran.dialled" },
  },
  ["calls/send-is-the-default"] = {
    ["KIND-009"] = { "open.send.false.parent" },
  },
  ["calls/started-after-return"] = {
    ["KIND-019"] = { "probe" },
  },
  ["calls/started-twice"] = {
    ["CTX-001"] = { "state.opener.started.started.relay.parent" },
  },
  ["calls/starts-before-it-looks"] = {
    ["ERROR-013"] = { "refusal.no-effect.gate", "refusal.no-effect.crash" },
    ["KIND-013"] = { "refusal.bad-args.cleanup.missing", "refusal.bad-args.crash.missing" },
  },
  ["calls/two-terminals"] = {
    ["CTX-005"] = { "probe" },
  },
  ["calls/unknown-bye-is-graceful"] = {
    ["KIND-001"] = { "extension.bye-code.X" },
    ["LINK-015"] = { "bye.code.bored" },
  },
  ["calls/waits-with-both-halves"] = {
    ["WAIT-001"] = { "open.waits-with-both-ended" },
  },
  ["cancelling/absorbs-by-identity"] = {
    ["CANCEL-008"] = { "cancel.wide.mixed" },
    ["CANCEL-010"] = { "deadline.explicit-other-cancel", "cancel.at-running.parent" },
    ["CTX-006"] = { "cancel.relay.ran-false" },
    ["LINK-006"] = { "bye.waits.relay-cancelled" },
  },
  ["cancelling/absorbs-everything"] = {
    ["CANCEL-011"] = { "cancel.unasked.error-not-run", "cancel.unasked.requested" },
  },
  ["cancelling/absorbs-nothing"] = {
    ["CANCEL-008"] = { "cancel.wide.mixed" },
    ["CANCEL-010"] = { "deadline.explicit-other-cancel", "cancel.at-running.error" },
    ["CTX-006"] = { "cancel.relay.ran-false" },
    ["LINK-006"] = { "bye.waits.relay-cancelled" },
  },
  ["cancelling/answers-before-those-below"] = {
    ["MODEL-002"] = { "cancel.wide.2", "cancel.wide.16" },
  },
  ["cancelling/answers-with-its-own-cause"] = {
    ["CANCEL-010"] = { "cancel.relay.absorbs" },
    ["CANCEL-012"] = { "spawn.cancel.deadline", "spawn.cancel.shutdown" },
    ["MODEL-002"] = { "cancel.wide.16", "cancel.order.tree-3x4" },
  },
  ["cancelling/begins-though-cancelled"] = {
    ["CANCEL-004"] = { "cancel.recorded.unbegun.dialled", "cancel.recorded.unbegun.parent" },
    ["CANCEL-006"] = { "deadline.zero.parent", "deadline.zero.dialled" },
    ["CTX-006"] = { "terminal.ran.dialled", "terminal.ran.parent" },
  },
  ["cancelling/begins-what-was-cancelled"] = {
    ["CANCEL-004"] = { "cancel.recorded.unbegun.dialled", "cancel.recorded.unbegun.parent" },
  },
  ["cancelling/by-is-missing"] = {
    ["CANCEL-013"] = { "cancel.wide.error", "deadline.explicit" },
  },
  ["cancelling/by-is-oneself"] = {
    ["CANCEL-012"] = { "cancel.wide.16", "spawn.cancel.deadline" },
  },
  ["cancelling/callee-keeps-no-deadline"] = {
    ["CANCEL-015"] = { "deadline.grace" },
    ["DEADLINE-002"] = { "deadline.siblings" },
  },
  ["cancelling/cancel-is-ignored"] = {
    ["CANCEL-005"] = { "cancel.at-waiting.link-lost" },
  },
  ["cancelling/cancellation-stays-above"] = {
    ["DEADLINE-002"] = { "deadline.opener.once" },
    ["LADDER-001"] = { "child.cancel.before-hello" },
    ["LINK-006"] = { "bye.waits.relay-cancelled" },
    ["MODEL-004"] = { "cancel.wide.error-then-cancel" },
    ["MODEL-005"] = { "cancel.wide.2" },
  },
  ["cancelling/cancels-only-what-runs"] = {
    ["CANCEL-004"] = { "cancel.recorded.unbegun.parent" },
    ["CANCEL-005"] = { "cancel.at-once.parent" },
  },
  ["cancelling/cancels-only-who-waits"] = {
    ["CANCEL-004"] = { "cancel.recorded.defied.dialled", "cancel.recorded.defied.parent" },
  },
  ["cancelling/deadline-does-not-wait"] = {
    ["CANCEL-003"] = { "deadline.opener.once" },
    ["DEADLINE-002"] = { "deadline.inherited.asked" },
    ["MODEL-002"] = { "deadline.below.all" },
    ["MODEL-003"] = { "deadline.explicit" },
  },
  ["cancelling/deadline-from-the-last-fragment"] = {
    ["DEADLINE-001"] = { "deadline.from-first-fragment" },
  },
  ["cancelling/deadline-is-not-inherited"] = {
    ["DEADLINE-005"] = { "deadline.below.all", "deadline.below.looser" },
  },
  ["cancelling/deadline-zero-runs"] = {
    ["CTX-010"] = { "refusal.first.deadline.parent", "refusal.first.deadline.dialled" },
    ["DEADLINE-004"] = { "deadline.zero.parent", "deadline.zero.dialled" },
  },
  ["cancelling/equal-grace-below"] = {
    ["CANCEL-016"] = { "cancel.relay.grace" },
  },
  ["cancelling/error-after-cancel-is-lost"] = {
    ["CANCEL-008"] = { "cancel.relay.fails", "cancel.wide.mixed" },
    ["ERROR-006"] = { "group.cancelled", "error.clean-up.context" },
  },
  ["cancelling/error-is-not-marked"] = {
    ["CANCEL-008"] = { "cancel.wide.mixed", "cross.cancel-error.opener-late" },
    ["CANCEL-009"] = { "cancel.cleanup.error", "cancel.cleanup.call-error" },
    ["ERROR-006"] = { "group.cancelled" },
  },
  ["cancelling/error-is-requested"] = {
    ["CANCEL-013"] = { "cancel.wide.error" },
  },
  ["cancelling/explicit-deadline-is-silent"] = {
    ["DEADLINE-006"] = { "deadline.explicit", "deadline.explicit-crossing" },
  },
  ["cancelling/finishes-a-cancelled-open"] = {
    ["CANCEL-002"] = { "state.opener.opening.cancelled-after-cancel" },
  },
  ["cancelling/grace-grows"] = {
    ["CANCEL-003"] = { "cancel.grace.not-lengthened" },
  },
  ["cancelling/grace-is-fixed"] = {
    ["CANCEL-003"] = { "cancel.grace.shortened" },
  },
  ["cancelling/inherited-deadline-is-an-error"] = {
    ["DEADLINE-007"] = { "deadline.inherited.unasked", "deadline.inherited.unasked-siblings" },
  },
  ["cancelling/items-after-cancel"] = {
    ["CANCEL-001"] = { "cancel.then.item.parent", "cancel.then.item.dialled" },
  },
  ["cancelling/last-cause-wins"] = {
    ["CANCEL-003"] = { "cancel.repeat.storm" },
    ["CROSS-001"] = { "death.sigterm.after-cancel", "death.sigterm.before-cancel" },
  },
  ["cancelling/longer-deadline-wins"] = {
    ["DEADLINE-005"] = { "deadline.below.looser" },
  },
  ["cancelling/message-is-lost"] = {
    ["CANCEL-012"] = { "cancel.wide.16", "cancel.at-running.deadline" },
  },
  ["cancelling/opener-keeps-no-deadline"] = {
    ["DEADLINE-003"] = { "deadline.explicit" },
  },
  ["cancelling/origin-is-parent"] = {
    ["CANCEL-012"] = { "cancel.wide.16", "spawn.cancel.deadline" },
  },
  ["cancelling/patient-with-children"] = {
    ["CANCEL-017"] = { "cancel.ladder.shortened" },
  },
  ["cancelling/return-after-cancel-fails"] = {
    ["CANCEL-007"] = { "cancel.relay.returns", "cross.cancel-return.opener-late" },
    ["CANCEL-008"] = { "cancel.wide.mixed" },
    ["ERROR-005"] = { "group.late-return" },
  },
  ["cancelling/return-after-cancel-is-lost"] = {
    ["CANCEL-007"] = { "deadline.explicit-return" },
  },
  ["cancelling/scope-ends-early"] = {
    ["ERROR-006"] = { "group.two" },
    ["MODEL-002"] = { "cancel.relay.waits" },
  },
  ["cancelling/sends-after-cancel"] = {
    ["STREAM-003"] = { "group.two" },
  },
  ["cancelling/shields-outlast-grace"] = {
    ["CANCEL-015"] = { "deadline.grace" },
  },
  ["cancelling/unasked-deadline-is-cancelled"] = {
    ["CANCEL-011"] = { "cancel.unasked.deadline", "cancel.unasked.deadline-not-run" },
  },
  ["cancelling/unasked-without-data"] = {
    ["CANCEL-011"] = { "cancel.unasked.error", "cancel.unasked.parent" },
  },
  ["cancelling/wait-after-cancel"] = {
    ["MODEL-006"] = { "cancel.level.waits-1" },
  },
  ["errors/causes-too-deep"] = {
    ["ACTOR-016"] = { "group.depth" },
    ["ERROR-008"] = { "group.depth", "payload.ERROR.causes.refused" },
    ["VALUE-012"] = { "payload.ERROR.causes.refused" },
  },
  ["errors/causes-without-bound"] = {
    ["ACTOR-016"] = { "group.number.inner" },
    ["ERROR-008"] = { "group.number.70", "group.number.inner" },
    ["VALUE-012"] = { "payload.ERROR.causes.refused" },
  },
  ["errors/clean-up-hides-the-error"] = {
    ["ERROR-006"] = { "group.two" },
  },
  ["errors/error-becomes-its-own"] = {
    ["ERROR-005"] = { "error.pass.whole" },
  },
  ["errors/error-is-wrapped"] = {
    ["CANCEL-009"] = { "cancel.relay.fails", "cancel.cleanup.call-error" },
    ["ERROR-005"] = { "error.code.unresponsive", "refusal.below.no-target" },
    ["ERROR-010"] = {
      "extension.error-code.acme-quota.parent",
      "extension.error-code.FAILED.parent",
    },
  },
  ["errors/error-loses-its-causes"] = {
    ["ERROR-005"] = { "error.pass.whole", "group.flat-alone" },
  },
  ["errors/error-loses-its-data"] = {
    ["ERROR-005"] = { "group.single", "error.pass.whole" },
  },
  ["errors/error-without-actor"] = {
    ["ERROR-002"] = { "error.data.nil", "error.data.str" },
  },
  ["errors/failed-is-internal"] = {
    ["ERROR-001"] = { "error.default.parent", "error.default.dialled" },
  },
  ["errors/first-error-only"] = {
    ["ERROR-006"] = { "group.two", "group.order" },
  },
  ["errors/group-is-backwards"] = {
    ["ERROR-006"] = { "group.two", "group.order" },
  },
  ["errors/groups-nest"] = {
    ["ERROR-007"] = { "group.flat" },
  },
  ["errors/last-error-wins"] = {
    ["ERROR-006"] = { "group.order", "group.cancelled" },
    ["ERROR-009"] = { "error.clean-up.context", "error.clean-up.group" },
  },
  ["errors/one-error-cancels-all"] = {
    ["ACTOR-008"] = { "error.isolated" },
  },
  ["errors/one-failure-is-no-matter"] = {
    ["MODEL-004"] = { "child.error.call" },
    ["REG-008"] = { "registry.watch.bound" },
  },
  ["errors/path-is-backwards"] = {
    ["ERROR-003"] = { "error.via.1", "error.via.31" },
  },
  ["errors/path-is-lost"] = {
    ["ERROR-003"] = { "refusal.after-effect.no-target", "refusal.after-effect.closing" },
    ["VALUE-018"] = { "error.via.identity" },
  },
  ["errors/path-without-end"] = {
    ["ERROR-004"] = { "error.via.32" },
    ["VALUE-012"] = { "error.via.32" },
  },
  ["errors/refusal-ends-the-link"] = {
    ["CTX-010"] = { "refusal.order.deadline", "refusal.first.no-target.parent" },
    ["ERROR-011"] = { "error.isolated" },
    ["KIND-013"] = { "refusal.among-calls.dialled", "refusal.among-calls.parent" },
    ["KIND-014"] = { "extension.targets.dialled", "refusal.no-target.dialled" },
  },
  ["errors/refusals-are-swallowed"] = {
    ["ERROR-005"] = { "refusal.below.no-target", "refusal.below.busy" },
  },
  ["errors/starts-before-it-looks"] = {
    ["ERROR-013"] = { "refusal.no-effect.relay", "refusal.no-effect.stubborn" },
  },
  ["errors/unknown-codes-are-failed"] = {
    ["ERROR-005"] = { "error.code.acme.quota" },
    ["ERROR-010"] = {
      "vector.whole.call-unknown-code",
      "extension.error-code.acme-quota.parent",
    },
  },
  ["errors/via-begins-with-oneself"] = {
    ["ERROR-002"] = { "error.data.nil", "error.data.str" },
  },
  ["framing/another-kind-for-the-rest"] = {
    ["FRAME-014"] = { "frame.sent.fragments.parent", "frame.sent.fragments.dialled" },
    ["FRAME-016"] = { "child.died.last-frames", "frame.sent.fragments.parent" },
    ["SPAWN-015"] = { "child.died.last-frames" },
  },
  ["framing/answers-half-an-open"] = {
    ["CTX-002"] = { "fragment.open.silence.parent", "fragment.open.silence.dialled" },
    ["FRAME-021"] = { "fragment.open.silence.parent", "fragment.open.silence.dialled" },
  },
  ["framing/cancel-does-not-discard"] = {
    ["FRAME-017"] = { "fragment.discard.item.parent", "fragment.discard.item.dialled" },
  },
  ["framing/cancel-overtakes-its-open"] = {
    ["FRAME-025"] = { "sending.withdrawn" },
    ["FRAME-026"] = { "sending.withdrawn" },
  },
  ["framing/cancel-waits-its-turn"] = {
    ["FRAME-024"] = { "sending.overtakes.STOP", "sending.overtakes.CANCEL" },
  },
  ["framing/cancelled-open-is-forgotten"] = {
    ["FRAME-022"] = { "cancel.at-unfinished.link-lost" },
  },
  ["framing/cancelled-open-keeps-its-place"] = {
    ["FRAME-021"] = { "fragment.discard.open.parent", "fragment.discard.open.dialled" },
    ["FRAME-022"] = { "abuse.open-cancel.unfinished" },
  },
  ["framing/checks-context-before-length"] = {
    ["FRAME-002"] = {
      "frame.order.length-context-link.parent",
      "frame.order.length-context-link.dialled",
    },
  },
  ["framing/checks-each-fragment"] = {
    ["FRAME-017"] = { "fragment.discard.item.parent", "fragment.discard.item.dialled" },
    ["FRAME-021"] = { "fragment.discard.open.parent", "fragment.discard.open.dialled" },
    ["FRAME-023"] = { "fragment.checked-at-last.parent", "fragment.checked-at-last.dialled" },
  },
  ["framing/checks-life-before-fragments"] = {
    ["FRAME-002"] = { "frame.order.more-life.parent", "frame.order.more-life.dialled" },
  },
  ["framing/checks-what-is-discarded"] = {
    ["FRAME-023"] = { "fragment.discard.stopped.parent", "fragment.discard.stopped.dialled" },
    ["STREAM-008"] = { "stop.discards.parent", "stop.discards.dialled" },
  },
  ["framing/context-of-32-bits"] = {
    ["FRAME-001"] = { "frame.context.last.parent" },
    ["FRAME-010"] = { "frame.context.last.parent" },
  },
  ["framing/encodes-far-ahead"] = {
    ["FRAME-028"] = { "sending.overtakes.CANCEL", "sending.overtakes.CREDIT" },
  },
  ["framing/end-does-not-discard"] = {
    ["FRAME-017"] = { "fragment.discard.item.parent", "fragment.discard.item.dialled" },
  },
  ["framing/error-does-not-replace"] = {
    ["FRAME-017"] = {
      "fragment.discard.terminal.parent",
      "fragment.discard.terminal.dialled",
    },
  },
  ["framing/forgets-more"] = {
    ["FRAME-014"] = { "frame.sent.fragments.parent", "frame.sent.fragments.dialled" },
    ["SPAWN-015"] = { "child.died.last-frames" },
    ["STREAM-010"] = { "stream.out.size-70000.parent", "stream.out.size-70000.dialled" },
    ["VALUE-001"] = { "child.died.last-frames", "frame.sent.fragments.parent" },
  },
  ["framing/id-is-used-at-the-last-fragment"] = {
    ["FRAME-019"] = { "fragment.open.uses-id.parent" },
  },
  ["framing/ids-are-used-again"] = {
    ["FRAME-007"] = { "frame.sent.ids.parent" },
  },
  ["framing/ids-of-either-parity"] = {
    ["FRAME-006"] = { "frame.sent.ids.parent" },
  },
  ["framing/ignores-ids-never-opened"] = {
    ["FRAME-010"] = { "vector.whole.never-opened" },
  },
  ["framing/ignores-the-wrong-role"] = {
    ["FRAME-008"] = { "frame.ended.role.parent" },
  },
  ["framing/keeps-no-mark-of-gaps"] = {
    ["FRAME-009"] = { "frame.ended.ignored.parent", "frame.ended.ignored.dialled" },
  },
  ["framing/late-frames-are-faults"] = {
    ["CROSS-002"] = {
      "cross.stop-terminal.error.callee-late",
      "cross.deadline-terminal.return.callee-late",
    },
    ["FRAME-011"] = { "abuse.discarded.ended", "vector.whole.late-cancel" },
    ["KIND-014"] = { "refusal.no-target.stream", "cancel.storm.unknown" },
    ["KIND-018"] = { "terminal.once.denied.dialled", "terminal.once.nursery-empty.parent" },
    ["KIND-019"] = { "state.callee.ended.cancel.error.dialled", "cancel.ended.dialled" },
    ["LIMIT-009"] = {
      "limit.partials.ended-not-counted.parent",
      "limit.partials.ended-not-counted.dialled",
    },
  },
  ["framing/many-unfinished-opens"] = {
    ["FRAME-020"] = { "fragment.open.second.parent" },
  },
  ["framing/mixes-messages"] = {
    ["FRAME-016"] = { "frame.sent.in-turn.parent", "frame.sent.in-turn.dialled" },
  },
  ["framing/more-on-any-kind"] = {
    ["FRAME-013"] = { "frame.more.END.parent", "frame.more.BYE.parent" },
  },
  ["framing/open-on-the-link"] = {
    ["FRAME-004"] = { "vector.whole.open-link" },
  },
  ["framing/opens-at-the-last-fragment"] = {
    ["FRAME-022"] = { "cancel.at-unfinished.parent", "fragment.discard.open.dialled" },
  },
  ["framing/opens-in-a-gap"] = {
    ["FRAME-011"] = { "frame.gap.open.parent" },
  },
  ["framing/opens-what-is-cancelled"] = {
    ["FRAME-026"] = { "sending.withdrawn" },
  },
  ["framing/pads-long-frames"] = {
    ["ODD-001"] = { "error.pass.whole", "child.died.last-frames" },
  },
  ["framing/ping-on-any-context"] = {
    ["FRAME-004"] = {
      "frame.context.link-kind.BYE.parent",
      "frame.context.link-kind.BYE.dialled",
    },
  },
  ["framing/return-overtakes-items"] = {
    ["FRAME-027"] = { "sending.terminal-behind-items" },
    ["STREAM-003"] = { "queued.order", "sending.terminal-behind-items" },
    ["STREAM-010"] = { "queued.order" },
  },
  ["framing/skips-unknown-kinds"] = {
    ["FRAME-005"] = { "frame.kind.0x00.context.parent" },
    ["ODD-002"] = { "frame.kind.all" },
  },
  ["framing/takes-empty-fragments"] = {
    ["FRAME-015"] = { "frame.ended.empty.parent" },
  },
  ["framing/takes-items-without-the-feature"] = {
    ["FRAME-005"] = {
      "frame.kind.ITEM.no-stream.parent",
      "frame.kind.ITEM.no-stream.dialled",
    },
  },
  ["framing/takes-mixed-messages"] = {
    ["FRAME-018"] = { "vector.whole.open-mixed", "vector.whole.error-replaced" },
  },
  ["framing/waits-for-the-payload"] = {
    ["FRAME-003"] = { "frame.length.BYE.huge.parent" },
  },
  ["handshake/acceptor-says-nothing"] = {
    ["ACTOR-005"] = { "child.own.many", "death.tree.loss-1" },
    ["HELLO-002"] = { "bye.waits" },
    ["HELLO-003"] = { "registry.watch.bound", "child.died.last-frames" },
    ["LIVE-008"] = { "hello.good.heartbeat-0.acceptor" },
  },
  ["handshake/all-features-always"] = {
    ["FRAME-005"] = { "frame.kind.ITEM.no-stream.dialled" },
    ["HELLO-015"] = { "hello.features.credit.source" },
    ["ODD-001"] = { "hello.features.credit.source" },
    ["STREAM-003"] = { "hello.features.credit.source" },
  },
  ["handshake/any-byte-is-a-sign-of-life"] = {
    ["HELLO-006"] = { "hello.silence" },
  },
  ["handshake/any-version"] = {
    ["HELLO-011"] = { "hello.payload.version.acceptor" },
  },
  ["handshake/cancel-frees-the-slot"] = {
    ["LIMIT-013"] = { "limit.contexts.cancelled-counts" },
  },
  ["handshake/child-waits"] = {
    ["HELLO-001"] = { "probe" },
  },
  ["handshake/connector-waits"] = {
    ["HELLO-001"] = { "hello.dial.good" },
  },
  ["handshake/credit-without-stream"] = {
    ["HELLO-015"] = { "hello.features.credit.source" },
    ["ODD-001"] = { "hello.features.credit.source" },
    ["STREAM-003"] = { "hello.features.credit.source" },
  },
  ["handshake/cuts-data-before-the-stack"] = {
    ["LIMIT-012"] = { "error.cut.data", "error.cut.stack" },
  },
  ["handshake/cuts-the-message-first"] = {
    ["LIMIT-012"] = { "error.cut.via", "error.cut.message" },
    ["VALUE-014"] = { "error.cut.own", "payload.text.error-cut.parent" },
  },
  ["handshake/default-message-below-frame"] = {
    ["ACTOR-005"] = { "limit.default.message.frame-only-large.parent" },
    ["HELLO-002"] = { "limit.default.message.frame-only-large.dialled" },
  },
  ["handshake/discarded-is-not-unfinished"] = {
    ["LIMIT-009"] = { "limit.partials.discarded-count.parent" },
  },
  ["handshake/echo-is-a-version"] = {
    ["HELLO-007"] = {
      "hello.order.echo-version.acceptor",
      "hello.order.echo-version.connector",
    },
  },
  ["handshake/end-with-a-payload"] = {
    ["FRAME-003"] = { "frame.length.END.above.dialled" },
    ["LIMIT-006"] = {
      "frame.length.END.whole-payload.parent",
      "frame.length.END.whole-payload.dialled",
    },
  },
  ["handshake/errors-are-not-cut"] = {
    ["LIMIT-010"] = { "error.cut.via", "error.cut.own" },
  },
  ["handshake/features-of-the-actor"] = {
    ["HELLO-013"] = { "hello.features.credit.source" },
  },
  ["handshake/hello-twice"] = {
    ["HELLO-005"] = { "vector.whole.hello-twice" },
  },
  ["handshake/ignores-frames-before-hello"] = {
    ["HELLO-004"] = { "vector.whole.hello-noise" },
  },
  ["handshake/knows-no-echo"] = {
    ["HELLO-007"] = {
      "hello.order.echo-version.connector",
      "hello.order.echo-version.acceptor",
    },
  },
  ["handshake/long-control-frames"] = {
    ["FRAME-003"] = { "frame.length.PONG.above.parent" },
    ["LIMIT-006"] = {
      "frame.length.PING.whole-payload.parent",
      "frame.length.CREDIT.whole-payload.parent",
    },
  },
  ["handshake/long-hello"] = {
    ["FRAME-003"] = { "frame.length.BYE.above.parent" },
    ["LIMIT-006"] = { "frame.length.BYE.whole-payload.dialled" },
  },
  ["handshake/no-context-limit"] = {
    ["LIMIT-007"] = {
      "limit.contexts.above.bad-payload.parent",
      "limit.contexts.above.bad-payload.dialled",
    },
  },
  ["handshake/no-frame-limit"] = {
    ["FRAME-003"] = { "frame.length.OPEN.huge.parent" },
    ["FRAME-010"] = {
      "frame.length.whole-payload.parent",
      "frame.length.whole-payload.dialled",
    },
    ["LIMIT-004"] = { "vector.whole.open-frame" },
  },
  ["handshake/no-large-limits"] = {
    ["HELLO-002"] = { "limit.default.frame-24", "vector.whole.hello-large-limits" },
    ["LIMIT-003"] = {
      "hello.good.limits-greatest.acceptor",
      "hello.good.limits-frame-24.acceptor",
    },
  },
  ["handshake/no-message-limit"] = {
    ["LIMIT-005"] = { "limit.message.above.OPEN.parent" },
  },
  ["handshake/no-minima"] = {
    ["HELLO-003"] = { "vector.whole.hello-frame-small" },
    ["LIMIT-002"] = { "hello.bad.limits-contexts-15.connector" },
  },
  ["handshake/no-partials-limit"] = {
    ["LIMIT-008"] = { "limit.partials.above.OPEN.parent" },
  },
  ["handshake/one-version-only"] = {
    ["HELLO-002"] = { "vector.bytewise.hello-range", "vector.whole.hello-range" },
    ["HELLO-010"] = { "hello.good.range-two.connector", "hello.good.range.connector" },
  },
  ["handshake/opens-beyond-the-limit"] = {
    ["LIMIT-007"] = { "limit.contexts.kept-17.parent", "limit.contexts.kept-17.dialled" },
    ["LIMIT-015"] = { "limit.contexts.kept-17.parent" },
  },
  ["handshake/sends-beyond-the-message-limit"] = {
    ["LIMIT-010"] = { "error.too-large.return", "error.too-large.started" },
    ["LIMIT-011"] = { "error.too-large.return", "error.too-large.started" },
  },
  ["handshake/slot-is-freed-late"] = {
    ["LIMIT-014"] = { "limit.contexts.freed.parent", "abuse.open.unknown-targets" },
  },
  ["handshake/small-defaults"] = {
    ["LIMIT-001"] = { "limit.default.contexts.parent" },
  },
  ["handshake/takes-any-actor"] = {
    ["HELLO-008"] = { "child.boot.wrong-id" },
  },
  ["handshake/talks-before-hello"] = {
    ["HELLO-003"] = { "spawn.quiet", "hello.nothing-more" },
  },
  ["handshake/too-large-is-failed"] = {
    ["LIMIT-010"] = { "error.too-large.open" },
    ["LIMIT-011"] = { "error.too-large.return", "error.too-large.passed" },
  },
  ["handshake/unknown-features-are-faults"] = {
    ["ACTOR-005"] = { "extension.grease.parent", "extension.grease.dialled" },
    ["HELLO-002"] = { "vector.whole.hello-full" },
    ["HELLO-014"] = {
      "hello.good.features-unknown.acceptor",
      "hello.good.features-unknown.connector",
    },
  },
  ["handshake/waits-for-a-slot"] = {
    ["LIMIT-015"] = { "limit.contexts.kept-17.parent" },
  },
  ["handshake/wrong-actor-is-a-loss"] = {
    ["HELLO-008"] = { "child.boot.wrong-id", "hello.dial.wrong-actor" },
  },
  ["handshake/wrong-token-is-not-told"] = {
    ["HELLO-009"] = { "listener.tcp.with-a-token" },
  },
  ["links/a-kind-of-its-own"] = {
    ["ODD-001"] = { "probe" },
  },
  ["links/bye-is-not-answered"] = {
    ["LINK-008"] = { "bye.answered", "spawn.args.all" },
  },
  ["links/children-are-not-cancelled-by-loss"] = {
    ["ACTOR-012"] = { "abuse.cut-everywhere" },
    ["MODEL-007"] = { "cancel.loss.end", "cancel.loss.cut" },
    ["MODEL-008"] = { "abuse.cut-everywhere" },
    ["WAIT-004"] = { "wait.loss.send" },
    ["WAIT-005"] = { "wait.loss.both", "wait.loss.receive" },
  },
  ["links/claims-decide"] = {
    ["SEC-001"] = { "abuse.claimed-identity" },
  },
  ["links/closes-before-it-has-written"] = {
    ["ACTOR-012"] = { "hello.late-acceptor" },
  },
  ["links/closes-over-unread-input"] = {
    ["LINK-016"] = { "bye.violation.reads-on" },
  },
  ["links/closes-with-contexts-open"] = {
    ["LINK-006"] = { "bye.waits.relay-cancelled" },
    ["LINK-010"] = { "bye.waits", "state.acceptor.closing.pong" },
  },
  ["links/denied-is-no-target"] = {
    ["SEC-002"] = { "abuse.claimed-identity" },
  },
  ["links/dies-of-deep-values"] = {
    ["ACTOR-005"] = { "abuse.garbage.mutated" },
    ["LINK-013"] = { "abuse.bomb.maps", "abuse.bomb.wide" },
  },
  ["links/dies-of-violations"] = {
    ["ACTOR-005"] = { "abuse.garbage.random", "abuse.garbage.mutated" },
    ["LINK-013"] = { "child.link-violated", "bye.violation.reads-on" },
  },
  ["links/end-of-input-is-polite"] = {
    ["ACTOR-012"] = { "state.acceptor.open.eof" },
    ["LINK-005"] = { "bye.loss.at-1" },
    ["MODEL-007"] = { "cancel.loss.cut" },
    ["MODEL-008"] = { "state.acceptor.open.eof" },
    ["WAIT-004"] = { "wait.loss.send" },
    ["WAIT-005"] = { "wait.loss.both" },
  },
  ["links/every-bye-is-graceful"] = {
    ["LINK-015"] = { "bye.code.ids" },
  },
  ["links/everyone-is-the-parent"] = {
    ["SEC-002"] = { "abuse.claimed-identity" },
  },
  ["links/exit-without-bye-is-death"] = {
    ["ACTOR-012"] = { "death.tree.finish-3" },
    ["LINK-012"] = { "bye.child.none" },
    ["SPAWN-014"] = { "child.opens-after-end", "child.own.echo" },
    ["SPAWN-015"] = { "child.died.last-frames" },
  },
  ["links/extensions-are-faults"] = {
    ["EXT-003"] = { "extension.kinds", "extension.closing" },
    ["EXT-004"] = { "extension.grease.parent", "extension.grease.dialled" },
    ["FRAME-005"] = { "extension.border.parent", "extension.border.dialled" },
    ["LIMIT-004"] = { "extension.longest.parent", "extension.longest.dialled" },
  },
  ["links/extensions-break-messages"] = {
    ["EXT-004"] = { "extension.grease.parent", "extension.grease.dialled" },
  },
  ["links/extensions-count-as-opened"] = {
    ["EXT-003"] = { "extension.grease.parent", "extension.grease.dialled" },
    ["EXT-004"] = {
      "extension.context.fresh.dialled",
      "extension.context.fresh-other-parity.parent",
    },
    ["KIND-003"] = { "abuse.extension.flood", "extension.grease.parent" },
  },
  ["links/extensions-have-a-context"] = {
    ["EXT-003"] = { "extension.kinds", "abuse.extension.flood" },
    ["EXT-004"] = { "extension.grease.parent", "extension.grease.dialled" },
  },
  ["links/failed-write-is-the-end"] = {
    ["LINK-004"] = { "sending.write-fails" },
  },
  ["links/frames-are-the-signs-of-life"] = {
    ["LIVE-003"] = { "silence.half-a-frame.dialled" },
  },
  ["links/half-a-frame-is-waited-for"] = {
    ["LINK-005"] = { "bye.loss.at-1" },
    ["MODEL-007"] = { "cancel.loss.cut" },
    ["MODEL-008"] = { "abuse.links.churn" },
  },
  ["links/half-an-open-for-ever"] = {
    ["LINK-017"] = { "bye.own.unfinished-open" },
  },
  ["links/hangs-over-garbage"] = {
    ["FRAME-002"] = { "frame.order.more-life.dialled" },
    ["FRAME-013"] = { "frame.more.PONG.dialled" },
    ["FRAME-015"] = { "frame.empty.OPEN.later.parent" },
  },
  ["links/heeds-nothing-when-it-cannot-write"] = {
    ["CROSS-003"] = { "sending.write-fails" },
  },
  ["links/keeps-what-it-read"] = {
    ["SEC-009"] = { "abuse.pong.flood", "abuse.extension.flood" },
  },
  ["links/links-share-their-features"] = {
    ["FRAME-005"] = { "frame.kind.ITEM.no-stream.dialled" },
    ["LINK-002"] = { "bye.independent.features" },
    ["ODD-001"] = { "bye.independent.features" },
    ["STREAM-003"] = { "bye.independent.features" },
  },
  ["links/links-share-their-limits"] = {
    ["LINK-002"] = { "bye.independent.contexts" },
  },
  ["links/name-is-authority"] = {
    ["SEC-002"] = { "abuse.claimed-identity" },
  },
  ["links/never-closes"] = {
    ["LINK-010"] = { "bye.waits" },
  },
  ["links/no-beat-while-busy"] = {
    ["LIVE-001"] = { "heartbeat.busy" },
  },
  ["links/no-ping-while-closing"] = {
    ["LINK-006"] = { "state.acceptor.closing.bye", "ping.closing" },
    ["LINK-010"] = { "state.connector.closing.pong", "state.acceptor.closing.pong" },
  },
  ["links/one-pong-for-many"] = {
    ["KIND-007"] = { "abuse.ping.stuck" },
  },
  ["links/opens-after-bye"] = {
    ["LINK-007"] = { "cross-link.open-bye.relay" },
  },
  ["links/pongs-queue-up"] = {
    ["SEC-010"] = { "abuse.ping.stuck" },
  },
  ["links/promise-is-not-kept"] = {
    ["LIVE-001"] = { "heartbeat.busy" },
  },
  ["links/reads-when-it-has-written"] = {
    ["LINK-003"] = { "sending.overtakes.STOP", "sending.overtakes.CANCEL" },
  },
  ["links/serves-after-bye"] = {
    ["LINK-009"] = { "bye.own.crossed-by-open" },
  },
  ["links/silence-is-death"] = {
    ["LIVE-006"] = { "silence.dialled" },
  },
  ["links/socket-for-everybody"] = {
    ["SEC-005"] = { "listener.unix.other-user" },
  },
  ["links/strangers-without-bound"] = {
    ["ACTOR-001"] = { "child.died.last-frames" },
    ["ACTOR-005"] = { "child.own.many" },
    ["SEC-011"] = { "abuse.links.silent" },
  },
  ["links/talks-after-bye"] = {
    ["LINK-014"] = { "bye.nothing-after", "abuse.answer.PING" },
    ["ODD-003"] = { "abuse.answer.PING", "abuse.answer.OPEN" },
  },
  ["links/tcp-anywhere"] = {
    ["LINK-001"] = { "listener.dial.in-the-clear" },
    ["SEC-003"] = { "abuse.dial.near" },
  },
  ["links/tcp-without-a-token"] = {
    ["SEC-004"] = { "listener.tcp.loopback" },
  },
  ["links/violations-are-forgiven"] = {
    ["LINK-014"] = { "bye.nothing-after", "bye.violation.reads-on" },
    ["LINK-016"] = { "abuse.answer.PING" },
  },
  ["links/violations-are-ignored"] = {
    ["CANCEL-001"] = { "cancel.then.end.parent" },
    ["FRAME-010"] = { "frame.never-opened.ITEM.parent" },
  },
  ["links/violations-are-refusals"] = {
    ["ACTOR-012"] = { "state.callee.started.open.dialled" },
    ["MODEL-008"] = { "state.callee.started.open.dialled" },
  },
  ["links/violations-end-in-silence"] = {
    ["LINK-013"] = { "child.link-violated", "bye.last.violation" },
  },
  ["spawning/actor-without-send"] = {
    ["ACTOR-001"] = { "child.actor.open" },
  },
  ["spawning/boot-timeout-is-death"] = {
    ["SPAWN-011"] = { "child.boot.silent", "child.boot.no-started" },
  },
  ["spawning/calls-before-copse-actor"] = {
    ["ACTOR-001"] = { "child.actor.open" },
  },
  ["spawning/child-holds-both-ends"] = {
    ["MODEL-009"] = { "death.tree.kill-stopped-3" },
    ["SPAWN-004"] = { "child.parent-killed" },
  },
  ["spawning/crossing-open-is-a-loss"] = {
    ["ACTOR-017"] = {
      "cross-link.open-actorterminal.parent-late",
      "cross-link.open-actorterminal.parent-early",
    },
  },
  ["spawning/deaths-are-not-told"] = {
    ["SPAWN-016"] = { "child.own.exit", "child.own.hang" },
  },
  ["spawning/died-without-data"] = {
    ["SPAWN-017"] = { "child.own.exit", "child.own.signal" },
  },
  ["spawning/every-context-dies-alone"] = {
    ["SPAWN-020"] = { "child.died.contexts" },
  },
  ["spawning/info-of-itself"] = {
    ["REG-010"] = { "registry.info.children" },
  },
  ["spawning/info-waits-for-all"] = {
    ["REG-011"] = { "registry.info.error", "registry.info.unresponsive" },
  },
  ["spawning/killing-is-no-death"] = {
    ["SPAWN-018"] = { "child.ladder.dies", "child.ladder.ignores" },
  },
  ["spawning/kills-at-once"] = {
    ["LADDER-001"] = { "child.ladder.dies", "child.ladder.exits" },
    ["SPAWN-011"] = { "child.boot.silent", "child.boot.no-started" },
    ["SPAWN-022"] = { "child.terminal-no-exit" },
  },
  ["spawning/ladder-is-not-told"] = {
    ["SPAWN-018"] = { "child.ladder.dies", "child.ladder.ignores" },
  },
  ["spawning/last-words-are-lost"] = {
    ["SPAWN-015"] = { "child.died.last-frames" },
  },
  ["spawning/leaves-zombies"] = {
    ["LADDER-006"] = { "child.died.last-frames" },
    ["MODEL-010"] = { "death.tree.sigkill-middle" },
    ["SPAWN-021"] = { "child.died.after-the-reap.exit", "child.died.after-the-reap.signal" },
  },
  ["spawning/loss-goes-no-further"] = {
    ["SPAWN-025"] = { "death.loss.passed-on.idle" },
  },
  ["spawning/name-is-forgotten"] = {
    ["SPAWN-001"] = { "child.environment" },
  },
  ["spawning/no-link-in-the-environment"] = {
    ["ACTOR-005"] = { "child.own.echo", "death.tree.loss-1" },
    ["SPAWN-002"] = { "child.environment", "child.serves" },
  },
  ["spawning/says-no-end"] = {
    ["ACTOR-014"] = { "child.call" },
  },
  ["spawning/siblings-inherit-links"] = {
    ["SPAWN-004"] = { "child.descriptors" },
  },
  ["spawning/signals-what-it-is-told"] = {
    ["SEC-008"] = { "abuse.pid" },
  },
  ["spawning/sigterm-is-death"] = {
    ["SPAWN-021"] = { "child.died.not-before-the-exit" },
  },
  ["spawning/spawn-failed-is-failed"] = {
    ["SPAWN-013"] = { "child.spawn-failed.missing", "child.spawn-failed.directory" },
  },
  ["spawning/status-does-not-matter"] = {
    ["SPAWN-016"] = { "child.status.error-0", "child.status.return-1" },
  },
  ["spawning/stderr-without-bound"] = {
    ["SPAWN-019"] = { "child.stderr-held" },
  },
  ["spawning/stops-at-sigterm"] = {
    ["SPAWN-011"] = { "child.boot.silent-stubborn" },
    ["SPAWN-018"] = { "child.ladder.ignores" },
  },
  ["spawning/terminates-at-once"] = {
    ["LADDER-001"] = { "child.cancel", "child.ladder.exits" },
  },
  ["spawning/waits-for-a-boot-for-ever"] = {
    ["SPAWN-011"] = { "child.boot.silent" },
  },
  ["spawning/waits-for-an-exit-for-ever"] = {
    ["SPAWN-022"] = { "child.link-lost" },
  },
  ["streams/answers-stop-at-once"] = {
    ["KIND-017"] = { "queued.order", "stop.before-started.parent" },
    ["STREAM-005"] = { "queued.order", "stop.before-started.parent" },
  },
  ["streams/answers-stop-twice"] = {
    ["STREAM-001"] = {
      "cancel.then.stop.dialled",
      "state.opener-out.ended.stop.from-the-start",
    },
    ["STREAM-003"] = { "abuse.stop.flood", "vector.whole.duplex-stop" },
  },
  ["streams/counts-headers"] = {
    ["CREDIT-007"] = { "grant.bytes.overdrawn.parent" },
  },
  ["streams/credit-after-end"] = {
    ["KIND-022"] = { "wait.cancel.no-queued-items.parent" },
    ["STREAM-001"] = { "credit.ignored.dialled", "cancel.then.credit.dialled" },
  },
  ["streams/credit-is-added"] = {
    ["CREDIT-002"] = { "credit.items.1.parent" },
    ["CREDIT-003"] = { "state.callee-out.open.credit.parent", "credit.items.2.dialled" },
  },
  ["streams/end-after-stop"] = {
    ["CREDIT-007"] = { "cross.item-stop.callee-beyond" },
    ["STREAM-002"] = { "stop.of-the-callee.parent", "state.callee-in.stopped.end.parent" },
    ["STREAM-003"] = {
      "state.callee-in.ended.end.by-end-after-stop.dialled",
      "state.callee-in.ended.item.by-end-after-stop.parent",
    },
  },
  ["streams/end-does-not-wake"] = {
    ["WAIT-003"] = { "stream.in.17.dialled" },
  },
  ["streams/end-drops-items"] = {
    ["WAIT-003"] = { "stream.in.1.parent", "stream.in.held.parent" },
  },
  ["streams/end-inside-an-item"] = {
    ["STREAM-003"] = { "stop.unfinished-item" },
    ["STREAM-007"] = { "stop.unfinished-item" },
  },
  ["streams/end-twice"] = {
    ["CANCEL-001"] = { "cancel.then.end.parent" },
    ["STREAM-003"] = { "vector.whole.end-no-send" },
  },
  ["streams/grant-begins-short"] = {
    ["CREDIT-001"] = { "beside.both-halves.parent" },
    ["CREDIT-003"] = { "credit.items.10.dialled" },
  },
  ["streams/grants-for-what-it-discards"] = {
    ["CREDIT-005"] = { "grant.discarded-counts.parent" },
  },
  ["streams/items-after-end"] = {
    ["CANCEL-001"] = { "cancel.then.item.parent", "cancel.then.item.dialled" },
    ["STREAM-003"] = { "vector.whole.item-no-send", "vector.whole.item-unwanted" },
  },
  ["streams/items-after-stop"] = {
    ["STREAM-002"] = { "state.callee-in.stopped.item.parent" },
  },
  ["streams/knows-no-bytes"] = {
    ["CREDIT-003"] = { "credit.bytes.none.parent", "credit.bytes.none.dialled" },
    ["CREDIT-006"] = { "credit.overdraft.70000.dialled", "credit.overdraft.900000.parent" },
  },
  ["streams/listens-for-ever"] = {
    ["WAIT-005"] = { "wait.cancel.receive.parent" },
  },
  ["streams/never-overdraws"] = {
    ["CREDIT-003"] = { "credit.bytes.one.parent" },
    ["CREDIT-006"] = { "credit.overdraft.1000.parent" },
  },
  ["streams/no-credit-before-started"] = {
    ["CREDIT-009"] = { "credit.early.same-write.parent", "credit.early.same-write.dialled" },
  },
  ["streams/no-more-is-an-error"] = {
    ["CREDIT-001"] = { "half.callee-ended.parent" },
    ["STREAM-004"] = { "stop.after-1.parent", "credit.items.10.dialled" },
    ["STREAM-005"] = { "open.credit.absent.dialled", "stop.before-started.parent" },
  },
  ["streams/no-overdraft"] = {
    ["CREDIT-004"] = { "grant.bytes.fragments.parent", "grant.bytes.fragments.dialled" },
    ["CREDIT-007"] = { "grant.bytes.overdrawn.parent", "grant.bytes.overdrawn.dialled" },
  },
  ["streams/one-more-item"] = {
    ["STREAM-006"] = { "stop.unfinished-item" },
  },
  ["streams/open-overrules-credit"] = {
    ["CREDIT-009"] = { "fragment.between.legal.parent" },
  },
  ["streams/reassembles-what-it-discards"] = {
    ["FRAME-023"] = { "fragment.discard.stopped.dialled", "fragment.discard.stopped.parent" },
    ["STREAM-008"] = { "stop.discards.parent", "cross.part-stop.callee-late" },
  },
  ["streams/refunds-what-it-discards"] = {
    ["CREDIT-005"] = { "grant.discarded-counts.dialled" },
  },
  ["streams/result-hides-items"] = {
    ["KIND-020"] = { "opener.return.16.parent", "opener.byte-by-byte.parent" },
  },
  ["streams/result-overtakes"] = {
    ["KIND-020"] = { "opener.return.1.parent", "opener.end.2.parent" },
  },
  ["streams/return-is-no-end"] = {
    ["STREAM-009"] = { "opener.return.16.dialled", "opener.return.16.parent" },
  },
  ["streams/smaller-totals"] = {
    ["CREDIT-008"] = { "vector.whole.credit-smaller" },
  },
  ["streams/stalled-for-ever"] = {
    ["DEADLINE-002"] = { "wait.deadline.parent" },
    ["REG-008"] = { "registry.watch.bound" },
    ["WAIT-004"] = { "wait.cancel.send.parent" },
  },
  ["streams/stop-does-not-wake"] = {
    ["STREAM-001"] = { "state.callee-out.open.stop.parent" },
    ["WAIT-002"] = { "stop.after-0.parent" },
  },
  ["streams/stop-is-not-answered"] = {
    ["STREAM-004"] = { "stop.after-1.parent", "state.callee-out.open.stop.parent" },
  },
  ["streams/takes-any-item"] = {
    ["CREDIT-001"] = { "grant.none.parent" },
    ["CREDIT-004"] = { "grant.none.fragment.parent" },
    ["CREDIT-007"] = { "state.callee.running.item.dialled" },
  },
  ["values/addresses-in-by"] = {
    ["ACTOR-016"] = { "registry.watch.bound" },
    ["VALUE-018"] = { "error.via.identity", "registry.watch.bound" },
  },
  ["values/any-deadline"] = {
    ["VALUE-012"] = { "deadline.bad.nil.parent" },
  },
  ["values/any-key-type"] = {
    ["LINK-013"] = { "payload.BYE.integer-key.dialled" },
    ["VALUE-012"] = { "payload.CANCELLED.integer-key.parent" },
  },
  ["values/any-map-key"] = {
    ["VALUE-001"] = { "vector.whole.value-key-nil", "vector.whole.value-key-float" },
    ["VALUE-004"] = { "value.bad.key-nil.parent" },
  },
  ["values/any-origin"] = {
    ["VALUE-012"] = { "payload.CANCEL.origin.refused" },
  },
  ["values/bytes-after-the-value"] = {
    ["VALUE-001"] = { "value.edge.CREDIT.two.parent" },
    ["VALUE-015"] = { "value.bad.in-fragments" },
  },
  ["values/cancel-without-origin"] = {
    ["LINK-013"] = { "vector.whole.bye-no-code", "payload.BYE.code.refused" },
    ["VALUE-012"] = { "payload.ERROR.causes.refused", "vector.whole.hello-no-version" },
  },
  ["values/counts-the-control-map"] = {
    ["VALUE-008"] = { "value.place.args.accepted", "value.place.error-data.accepted" },
    ["VALUE-011"] = {
      "value.place.hello-unknown.accepted",
      "value.place.limits-unknown.accepted",
    },
  },
  ["values/cuts-inside-a-character"] = {
    ["VALUE-001"] = { "payload.text.cancel-cut.parent", "payload.text.error-cut.parent" },
  },
  ["values/equal-keys-in-limits"] = {
    ["VALUE-010"] = { "hello.bad.limits-twice.acceptor" },
  },
  ["values/id-of-its-name"] = {
    ["ACTOR-005"] = { "child.own.echo" },
    ["SPAWN-005"] = { "spawn.link.stdio-pair", "spawn.link.tcp" },
    ["VALUE-017"] = { "hello.said" },
  },
  ["values/known-addresses-only"] = {
    ["VALUE-016"] = { "value.ref.addresses.parent", "value.ref.addresses.dialled" },
  },
  ["values/lax-utf8"] = {
    ["VALUE-001"] = { "vector.whole.value-surrogate" },
    ["VALUE-002"] = { "value.bad.utf8-f5.parent" },
  },
  ["values/nests-too-deep"] = {
    ["VALUE-008"] = { "value.place.ping.refused", "value.place.return.refused" },
  },
  ["values/nests-too-little"] = {
    ["VALUE-008"] = { "value.place.ping.accepted", "value.place.pong.accepted" },
    ["VALUE-011"] = {
      "value.place.hello-unknown.accepted",
      "value.place.limits-unknown.accepted",
    },
  },
  ["values/no-binary32"] = {
    ["VALUE-006"] = { "value.float32.parent", "value.float32.dialled" },
  },
  ["values/no-integer-keys"] = {
    ["VALUE-004"] = { "value.map-keys.parent" },
  },
  ["values/no-long-strings"] = {
    ["VALUE-006"] = { "value.map.parent", "value.ref.parent" },
    ["VALUE-008"] = { "value.place.pong.accepted", "value.place.meta.accepted" },
    ["VALUE-011"] = {
      "value.place.bye-unknown.accepted",
      "value.place.limits-unknown.accepted",
    },
  },
  ["values/ping-of-nothing"] = {
    ["VALUE-001"] = { "value.place.ping.refused" },
  },
  ["values/ref-of-any-shape"] = {
    ["VALUE-001"] = { "vector.whole.value-ref-map" },
    ["VALUE-015"] = { "value.bad.ref-addresses-nil.parent" },
  },
  ["values/sends-equal-keys"] = {
    ["VALUE-005"] = { "payload.user-value.twice.dialled", "payload.user-value.twice.parent" },
  },
  ["values/sends-nil-for-nothing"] = {
    ["ACTOR-016"] = { "deadline.both-ends", "cancel.relay.absorbs" },
    ["VALUE-013"] = { "deadline.both-ends", "cancel.relay.absorbs" },
  },
  ["values/shortest-forms-only"] = {
    ["VALUE-004"] = { "value.map-keys.parent" },
    ["VALUE-006"] = { "value.uint.dialled" },
  },
  ["values/str-of-any-bytes"] = {
    ["VALUE-001"] = { "vector.whole.value-utf8", "vector.whole.value-overlong" },
    ["VALUE-002"] = { "vector.whole.value-utf8" },
  },
  ["values/takes-c1"] = {
    ["VALUE-001"] = { "hello.payload.reserved.acceptor" },
  },
  ["values/unknown-keys-are-faults"] = {
    ["EXT-004"] = { "extension.grease.parent", "extension.grease.dialled" },
    ["KIND-018"] = { "open.extras.parent", "open.extras.dialled" },
    ["VALUE-011"] = { "extension.keys.open.parent", "extension.keys.open.dialled" },
  },
  ["values/wraps-large-integers"] = {
    ["VALUE-001"] = { "vector.whole.value-uint64" },
    ["VALUE-003"] = { "value.bad.uint64.parent" },
  },
}
