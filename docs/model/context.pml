/* SPDX-License-Identifier: MIT
 *
 * context.pml: one context, from OPEN to its terminal, over one link.
 *
 * The protocol of Copse is one state machine, and everything else is built of it: so it must be
 * right before anything is built. This model runs the tables of SPEC.md (life, out half, in half,
 * at each end) against each other over two bounded FIFO channels, and lets the users of both ends
 * do anything that the tables allow, in any order: it therefore covers every program, not a choice
 * of them. The opener may cancel at any moment, the callee may be cancelled by its own deadline or
 * shutdown, and the link may be lost at any moment.
 *
 * Three kinds of rule are checked:
 *   - what a table calls a violation never happens between two honest ends (the rules in the recv_
 *     inlines);
 *   - what the prose promises of frames: one terminal, nothing after it, credit, STARTED first;
 *   - where everything stands still, it stands still for a stated reason (Judge, at the end).
 *
 * Numbers:  N items per direction, CAP frames in flight per direction, NC CANCELs.
 * Switches: LOSS the link may be lost; REPEAT a CREDIT may be written twice; FRAGMENTED the OPEN
 *           may come in two fragments; DEADLINE the callee may be cancelled without a CANCEL.
 * WITNESS_x asserts that a situation worth having never comes up: such a run must fail, which shows
 * that the proof is not empty. MUTANT_x breaks one rule: such a run must fail too. README.md lists
 * both.
 */

#ifndef N
#define N 1
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef NC
#define NC 1
#endif

/* A broken rule says its name when the trail is replayed; the runner prints it. */
#define RULE(condition, name) if :: (condition) -> skip :: else -> printf(name); assert(false) fi

/* Frames. FRAGMENT is the first half of an OPEN in two pieces; OPEN is the last, or the only one.
 * */
mtype = { FRAGMENT, OPEN, STARTED, ITEM, END, STOP, CREDIT, CANCEL, RETURN, ERROR, CANCELLED };

#define is_terminal(kind) (kind == RETURN || kind == ERROR || kind == CANCELLED)

/* Life. The opener's table calls `running` by the name `waiting`. */
mtype = { unopened, opening, running, started, ended };
/* Halves; `ended` is shared. */
mtype = { open, stopped };
/* Where the user of an end stands: in no wait, in send, in receive, or (opener) in the wait for the
 * result. */
mtype = { idle, sending, receiving, awaiting };
/* How the opener's scope learned that the context ended. */
mtype = { no_outcome, withdrawn, answered, link_lost };

#define OPENER 0
#define CALLEE 1

/* What an end has decided to write and has not written yet. The order of the control frames among
 * themselves, and between them and items, is free: they may overtake. */
#define WANT_END 1
#define WANT_STOP 2
#define WANT_CREDIT 4
#define WANT_CANCEL 8
#define wants(me, what) ((want[me] & (what)) != 0)

chan link[2] = [CAP] of { mtype, byte }; /* link[me] carries what `me` writes */
bool lost;

mtype life[2] = unopened;
mtype out[2] = open;
mtype in[2] = open;
mtype user[2] = idle;
bool cancelled[2];    /* opener: CANCEL was decided; callee: its flag `cancelled` */
byte want[2];
byte begun[2];        /* items that I wrote */
byte limit[2];        /* the peer's grant, as far as I know it */
byte granted[2];      /* my grant, as far as I wrote it */
byte counted[2];      /* items that I received, discarded ones too */
byte queue[2];        /* items that my user has not taken */
bool repeated[2];     /* a CREDIT frame was written twice */
/* saw the loss: reads no more. What was under way may be read before, or not. */
bool gone[2];

/* OPEN's payload, chosen before the run. */
bool open_send;
bool open_credit;     /* present, if only as [0, 0] */
byte open_grant;
bool open_split;

byte cancels;         /* CANCEL frames written */
bool ran;             /* user code ran in the callee */
mtype answer = 0;     /* the callee's terminal, decided and not written */
byte terminals;       /* written */
mtype outcome = no_outcome;

#define live(me) (life[me] == opening || life[me] == running || life[me] == started)
#define room(me) (lost || nfull(link[me])) /* what is written to a lost link vanishes */

inline put(me, frame, argument) {
  if
  :: lost -> skip
  :: else -> link[me]!frame(argument)
  fi
}

inline end_halves(me) {
  out[me] = ended; in[me] = ended; want[me] = 0; queue[me] = 0; user[me] = idle
}

/* ---- Halves: what both ends do alike --------------------------------------------------------- */

inline recv_item(me) {
  RULE(in[me] != ended, "RULE: no ITEM after END\n");
  RULE(counted[me] < granted[me], "RULE: no ITEM beyond the credit\n");
  counted[me]++;
  if
  :: in[me] == open -> queue[me]++
  :: else -> skip /* discarded, and yet counted */
  fi
}

inline recv_end(me) {
  RULE(in[me] != ended, "RULE: no END after END, sent or implied\n");
  in[me] = ended;
  want[me] = want[me] & (WANT_END | WANT_CANCEL)
}

inline recv_stop(me) {
  if
  :: out[me] == open -> out[me] = stopped /* END is owed: write_answer_to_stop */
#ifdef MUTANT_STOP_AFTER_CANCEL
  :: out[me] == ended && cancelled[me] -> out[me] = stopped
#endif
  :: else -> skip
  fi
}

inline recv_credit(me, total) {
  if
#ifdef MUTANT_INCREMENTAL_CREDIT
  :: out[me] == open -> limit[me] = limit[me] + total
#else
  :: out[me] == open ->
    RULE(total >= limit[me], "RULE: a total of CREDIT never falls\n");
    limit[me] = total
#endif
  :: else -> skip
  fi
}

/* The opener's messages wait until its OPEN is complete, the callee's until its STARTED. */
#define may_stream(me) (life[me] == started || (me == OPENER && life[me] == running))

inline write_item(me) {
  atomic { user[me] == sending && out[me] == open && begun[me] < limit[me] && may_stream(me) &&
      room(me) ->
    put(me, ITEM, 0); begun[me]++; user[me] = idle }
}

inline write_end(me) {
  atomic { wants(me, WANT_END) && may_stream(me) && room(me) ->
    put(me, END, 0); want[me] = want[me] & ~WANT_END }
}

inline write_answer_to_stop(me) {
#ifdef MUTANT_END_BEFORE_STARTED
  atomic { out[me] == stopped && life[me] != unopened && life[me] != ended && room(me) ->
#else
  atomic { out[me] == stopped && may_stream(me) && room(me) ->
#endif
    put(me, END, 0);
#ifndef MUTANT_STOP_ANSWERED_TWICE
    out[me] = ended
#else
    if :: out[me] = ended :: skip fi
#endif
  }
}

inline write_stop(me) {
  atomic { wants(me, WANT_STOP) && live(me) && room(me) ->
    put(me, STOP, 0); want[me] = want[me] & ~WANT_STOP }
}

#ifdef MUTANT_INCREMENTAL_CREDIT
#define CREDIT_VALUE(me) 1
#else
#define CREDIT_VALUE(me) granted[me]
#endif

inline write_credit(me) {
  atomic { wants(me, WANT_CREDIT) && live(me) && room(me) ->
    granted[me]++; put(me, CREDIT, CREDIT_VALUE(me)); want[me] = want[me] & ~WANT_CREDIT }
}

inline write_credit_again(me) {
  atomic { in[me] == open && granted[me] > 0 && !repeated[me] && live(me) && room(me) ->
    put(me, CREDIT, CREDIT_VALUE(me)); repeated[me] = true }
}

/* ---- Users: any program is some path through these choices ----------------------------------- */

#define may_act(me) (user[me] == idle && !cancelled[me] && \
  (me == OPENER -> live(me) : (ran && (life[me] == running || life[me] == started))))

/* A callee that has not said STARTED may not send; to let it wait for that would be to wait for
 * itself. */
inline user_sends(me) {
#ifdef MUTANT_SEND_WAITS_FOR_OWN_STARTED
  atomic { may_act(me) && out[me] == open && begun[me] < N ->
    user[me] = sending }
#else
  atomic { may_act(me) && out[me] == open && begun[me] < N &&
      (me == OPENER || life[me] == started) ->
    user[me] = sending }
#endif
}

/* A send that waits ends at once when the half is no longer open: STOP, CANCEL, terminal, loss. */
inline user_stops_sending(me) {
#ifdef MUTANT_SEND_SLEEPS_THROUGH_CANCEL
  atomic { user[me] == sending && out[me] != open && !cancelled[me] -> user[me] = idle }
#else
#ifdef MUTANT_SEND_SLEEPS_THROUGH_STOP
  atomic { user[me] == sending && (cancelled[me] || life[me] == ended) -> user[me] = idle }
#else
  atomic { user[me] == sending && (out[me] != open || cancelled[me]) -> user[me] = idle }
#endif
#endif
}

/* Who receives has granted something, or all that this model lets it grant, or only takes what is
 * there. */
inline user_receives(me) {
  atomic { may_act(me) && (in[me] == open || (in[me] == ended && queue[me] > 0)) &&
    (queue[me] > 0 || granted[me] > counted[me] || counted[me] == N) -> user[me] = receiving }
}

inline user_takes_item(me) {
  atomic { user[me] == receiving && queue[me] > 0 -> queue[me]--; user[me] = idle }
}

inline user_stops_receiving(me) {
  atomic { user[me] == receiving && queue[me] == 0 && (in[me] != open || cancelled[me]) ->
      user[me] = idle }
}

inline user_ends(me) {
  atomic { may_act(me) && out[me] == open && may_stream(me) -> out[me] = ended;
      want[me] = want[me] | WANT_END }
}

inline user_says_stop(me) {
  atomic { may_act(me) && in[me] == open -> in[me] = stopped; queue[me] = 0;
    want[me] = (want[me] & ~WANT_CREDIT) | WANT_STOP }
}

inline user_grants(me) {
  atomic { may_act(me) && in[me] == open && !wants(me, WANT_CREDIT) && granted[me] < N ->
    want[me] = want[me] | WANT_CREDIT }
}

/* ---- The opener ------------------------------------------------------------------------------ */

inline opener_recv(frame, argument) {
  if
  :: life[OPENER] == unopened || life[OPENER] == opening ->
    RULE(life[OPENER] == opening && cancelled[OPENER] && frame == CANCELLED && argument == 0,
      "RULE: nothing answers an incomplete OPEN but CANCELLED ran=false\n")
  :: life[OPENER] == running -> RULE(frame != ITEM && frame != END,
      "RULE: no ITEM or END before STARTED\n")
  :: life[OPENER] == started -> RULE(frame != STARTED, "RULE: STARTED at most once\n")
  :: life[OPENER] == ended -> RULE(false, "RULE: nothing after the terminal\n")
  fi;
  if
  :: life[OPENER] == ended -> skip
  :: else ->
    if
    :: frame == STARTED -> life[OPENER] = started
    :: frame == ITEM -> recv_item(OPENER)
    :: frame == END -> recv_end(OPENER)
    :: frame == STOP -> recv_stop(OPENER)
    :: frame == CREDIT -> recv_credit(OPENER, argument)
    :: is_terminal(frame) ->
#ifdef WITNESS_RETURN_CROSSES_CANCEL
      RULE(!(frame == RETURN && cancels > 0), "WITNESS: RETURN crosses CANCEL\n");
#endif
#ifdef WITNESS_CANCELLED_UNASKED
      RULE(!(frame == CANCELLED && cancels == 0),
          "WITNESS: CANCELLED that the opener did not ask for\n");
#endif
#ifdef WITNESS_NEVER_RAN
      RULE(!(frame == CANCELLED && argument == 0 && life[OPENER] == running),
          "WITNESS: CANCELLED ran=false of a whole OPEN\n");
#endif
      RULE(frame != RETURN || counted[OPENER] == begun[CALLEE],
          "RULE: RETURN comes after the items before it\n");
      RULE(frame != CANCELLED || argument == ran,
          "RULE: ran=false if and only if no user code ran\n");
      life[OPENER] = ended; outcome = answered; end_halves(OPENER)
    fi
  fi
}

/* CANCEL implies END and STOP; what was queued is withdrawn, and nothing follows but CANCEL. */
inline opener_cancels() {
  atomic { live(OPENER) && cancels < NC && !wants(OPENER, WANT_CANCEL) ->
    cancelled[OPENER] = true; out[OPENER] = ended; queue[OPENER] = 0;
    in[OPENER] = (in[OPENER] == ended -> ended : stopped);
#ifdef MUTANT_CANCEL_LEAVES_END_QUEUED
    want[OPENER] = (want[OPENER] & WANT_END) | WANT_CANCEL;
#else
    want[OPENER] = WANT_CANCEL;
#endif
    if
    :: user[OPENER] == awaiting -> skip
    :: else -> user[OPENER] = idle
    fi }
}

#define opener_owes (want[OPENER] != 0 || out[OPENER] == stopped || life[OPENER] == opening)

proctype Opener() {
  mtype frame; byte argument;
end: do /* whether standing still here is right, the Judge says */
  /* Writing. An OPEN not begun is withdrawn with its CANCEL; one begun is left unfinished. */
  :: atomic { life[OPENER] == unopened && !gone[OPENER] && room(OPENER) ->
      granted[OPENER] = open_grant;
      out[OPENER] = (open_send -> open : ended);
      in[OPENER] = (open_credit -> open : ended);
      if
      :: open_split -> put(OPENER, FRAGMENT, 0); life[OPENER] = opening
      :: else -> put(OPENER, OPEN, 0); life[OPENER] = running
      fi }
#ifdef MUTANT_OPEN_GOES_ON_AFTER_CANCEL
  :: atomic { life[OPENER] == opening && room(OPENER) ->
#else
  :: atomic { life[OPENER] == opening && !cancelled[OPENER] && room(OPENER) ->
#endif
      put(OPENER, OPEN, 0); life[OPENER] = running }
  :: write_item(OPENER)
  :: write_end(OPENER)
  :: write_answer_to_stop(OPENER)
  :: write_stop(OPENER)
  :: write_credit(OPENER)
#ifdef REPEAT
  :: write_credit_again(OPENER)
#endif
  :: atomic { wants(OPENER, WANT_CANCEL) && live(OPENER) && room(OPENER) ->
      put(OPENER, CANCEL, 0); cancels++; want[OPENER] = want[OPENER] & ~WANT_CANCEL }

  /* Reading, whatever the user and the output do. */
#ifdef MUTANT_READING_GATED_ON_WRITING
  :: atomic { !gone[OPENER] && !opener_owes && nempty(link[CALLEE]) ->
#else
  :: atomic { !gone[OPENER] && nempty(link[CALLEE]) ->
#endif
      link[CALLEE]?frame(argument); opener_recv(frame, argument); frame = 0; argument = 0 }
  :: atomic { lost && !gone[OPENER] -> gone[OPENER] = true;
      if
      :: life[OPENER] != ended -> life[OPENER] = ended; outcome = link_lost; end_halves(OPENER)
      :: else -> skip
      fi }

  /* The user. */
  :: user_sends(OPENER)
  :: user_stops_sending(OPENER)
  :: user_receives(OPENER)
  :: user_takes_item(OPENER)
  :: user_stops_receiving(OPENER)
  :: user_ends(OPENER)
  :: user_says_stop(OPENER)
  :: user_grants(OPENER)
  :: opener_cancels()
#if NC > 0
  :: atomic { life[OPENER] == unopened ->
      life[OPENER] = ended; outcome = withdrawn; end_halves(OPENER) }
#endif
  /* Who waits for the result has sent END and STOP for the halves that it no longer uses. */
  :: atomic { live(OPENER) && user[OPENER] == idle && (cancelled[OPENER] ||
#ifdef MUTANT_RESULT_AWAITED_WITHOUT_END
      in[OPENER] != open
#else
#ifdef MUTANT_RESULT_AWAITED_WITHOUT_STOP
      out[OPENER] == ended
#else
      (out[OPENER] == ended && in[OPENER] != open)
#endif
#endif
      ) -> user[OPENER] = awaiting }
  od
}

/* ---- The callee ------------------------------------------------------------------------------ */

inline callee_decides(terminal) {
#ifdef WITNESS_CANCELLED_IN_SEND
  RULE(!(terminal == CANCELLED && begun[CALLEE] > 0 && out[CALLEE] == open),
      "WITNESS: a stream cut short by its own deadline\n");
#endif
  life[CALLEE] = ended; answer = terminal;
  out[CALLEE] = ended; in[CALLEE] = ended; queue[CALLEE] = 0; user[CALLEE] = idle;
  /* An END or STOP that was queued before may go out before the terminal, or be withdrawn. */
  if
  :: want[CALLEE] != 0 -> skip
  :: want[CALLEE] = 0
  fi
}

inline open_complete() {
  life[CALLEE] = running;
  if
  :: !open_send -> in[CALLEE] = ended
  :: else -> skip
  fi;
  if
  :: !open_credit ->
#ifdef MUTANT_IMPLIED_STOP_OWES_END
    out[CALLEE] = stopped
#else
    out[CALLEE] = ended; limit[CALLEE] = 0
#endif
    /* A CREDIT between the fragments may have said more than OPEN does. */
#ifdef MUTANT_OPEN_RESETS_THE_CREDIT
  :: open_credit -> limit[CALLEE] = open_grant
#else
  :: open_credit && limit[CALLEE] < open_grant -> limit[CALLEE] = open_grant
#endif
  :: else -> skip
  fi
}

inline callee_recv(frame) {
  if
  :: life[CALLEE] == unopened ->
    RULE(frame == FRAGMENT || frame == OPEN, "RULE: OPEN comes first\n")
  :: life[CALLEE] == opening ->
    RULE(frame == OPEN || frame == CANCEL || frame == STOP || frame == CREDIT,
      "RULE: nothing but CANCEL, STOP and CREDIT inside an OPEN\n")
  :: life[CALLEE] == running || life[CALLEE] == started ->
    RULE(frame != OPEN && frame != FRAGMENT, "RULE: one OPEN\n")
  :: life[CALLEE] == ended ->
#ifdef MUTANT_LATE_FRAMES_REFUSED
    RULE(false, "RULE: a frame that crosses the terminal is no violation\n")
#else
    RULE(frame != OPEN && frame != FRAGMENT, "RULE: no OPEN on an id that has ended\n")
#endif
  fi;
  if
  :: frame == FRAGMENT -> life[CALLEE] = opening
  :: frame == OPEN -> open_complete()
  :: frame != OPEN && frame != FRAGMENT && life[CALLEE] == ended -> skip
  :: frame == ITEM && life[CALLEE] != ended -> recv_item(CALLEE)
  :: frame == END && life[CALLEE] != ended -> recv_end(CALLEE)
  :: frame == STOP && life[CALLEE] != ended -> recv_stop(CALLEE)
  :: frame == CREDIT && life[CALLEE] != ended -> recv_credit(CALLEE, argument)
  :: frame == CANCEL && life[CALLEE] == opening ->
#ifndef MUTANT_CANCEL_INSIDE_OPEN_IGNORED
    callee_decides(CANCELLED)
#endif
  :: frame == CANCEL && (life[CALLEE] == running || life[CALLEE] == started) ->
    cancelled[CALLEE] = true; in[CALLEE] = ended; out[CALLEE] = ended; queue[CALLEE] = 0;
        want[CALLEE] = 0;
#ifdef MUTANT_CANCEL_ANSWERED_BY_THE_LAYER
    /* The layer answers, and the handler, which knows nothing of it, will answer again. */
    if :: answer == 0 -> answer = CANCELLED :: else -> skip fi
#endif
  fi
}

#define callee_owes (want[CALLEE] != 0 || answer != 0 || (out[CALLEE] == stopped && \
    life[CALLEE] == started))

proctype Callee() {
  mtype frame; byte argument;
end: do /* whether standing still here is right, the Judge says */
  /* Writing. A terminal keeps its place behind what was queued before it. */
  :: write_item(CALLEE)
  :: atomic { wants(CALLEE, WANT_END) && (life[CALLEE] == started || answer != 0) && room(CALLEE) ->
      put(CALLEE, END, 0); want[CALLEE] = want[CALLEE] & ~WANT_END }
  :: write_answer_to_stop(CALLEE)
  :: atomic { wants(CALLEE, WANT_STOP) && life[CALLEE] != unopened && room(CALLEE) ->
      put(CALLEE, STOP, 0); want[CALLEE] = want[CALLEE] & ~WANT_STOP }
  :: atomic { wants(CALLEE, WANT_CREDIT) && life[CALLEE] != unopened && room(CALLEE) ->
      granted[CALLEE]++; put(CALLEE, CREDIT, CREDIT_VALUE(CALLEE));
          want[CALLEE] = want[CALLEE] & ~WANT_CREDIT }
#ifdef REPEAT
  :: write_credit_again(CALLEE)
#endif
  :: atomic { answer != 0 && want[CALLEE] == 0 && room(CALLEE) ->
      put(CALLEE, answer, ran); answer = 0; terminals++;
      RULE(terminals == 1, "RULE: one terminal\n") }

  /* Reading. */
#ifdef MUTANT_READING_GATED_ON_WRITING
  :: atomic { !gone[CALLEE] && !callee_owes && nempty(link[OPENER]) ->
#else
#ifdef MUTANT_READER_DELIVERS_INLINE
  :: atomic { !gone[CALLEE] && queue[CALLEE] == 0 && nempty(link[OPENER]) ->
#else
  :: atomic { !gone[CALLEE] && nempty(link[OPENER]) ->
#endif
#endif
      link[OPENER]?frame(argument); callee_recv(frame); frame = 0; argument = 0 }
  :: atomic { lost && !gone[CALLEE] ->
      gone[CALLEE] = true; life[CALLEE] = ended; answer = 0; end_halves(CALLEE) }

  /* The handler. */
  :: atomic { (life[CALLEE] == running || life[CALLEE] == started) && !ran && !cancelled[CALLEE] ->
      ran = true }
  :: atomic { ran && life[CALLEE] == running && room(CALLEE) && answer == 0 &&
      user[CALLEE] == idle ->
      put(CALLEE, STARTED, 0); life[CALLEE] = started }
  :: user_sends(CALLEE)
  :: user_stops_sending(CALLEE)
  :: user_receives(CALLEE)
  :: user_takes_item(CALLEE)
  :: user_stops_receiving(CALLEE)
  :: user_ends(CALLEE)
  :: user_says_stop(CALLEE)
  :: user_grants(CALLEE)
  :: atomic { (life[CALLEE] == running || life[CALLEE] == started) && user[CALLEE] == idle ->
      if
      :: ran -> callee_decides(RETURN)
      :: callee_decides(ERROR) /* a refusal, when nothing ran */
      :: cancelled[CALLEE] -> callee_decides(CANCELLED)
      fi }
#ifdef DEADLINE
  /* Its own deadline, or its actor's shutdown. The opener knows nothing of it: the in half stays as
   * it is. */
  :: atomic { (life[CALLEE] == running || life[CALLEE] == started) && !cancelled[CALLEE] ->
      cancelled[CALLEE] = true;
#ifdef MUTANT_DEADLINE_ENDS_THE_IN_HALF
      in[CALLEE] = ended;
#endif
    }
#endif
  od
}

/* ---- The link, and the judge ----------------------------------------------------------------- */

proctype Link() {
  if
  :: lost = true
  :: skip
  fi
}

/* A user may wait for ever only where no rule of the protocol could wake it. */
#define fair_send(me, peer) (out[me] == open && begun[me] == limit[me] && \
    limit[me] == granted[peer] && in[peer] == open)
#define fair_receive(me, peer) (in[me] == open && queue[me] == 0 && out[peer] == open)

proctype Judge() {
  atomic {
    timeout ->
    RULE(lost || len(link[OPENER]) + len(link[CALLEE]) == 0, "RULE: every frame is read\n");
    if
    :: outcome == withdrawn -> RULE(life[CALLEE] == unopened || gone[CALLEE],
        "RULE: a withdrawn OPEN is never seen\n")
    :: life[OPENER] == ended && outcome != withdrawn ->
      RULE(outcome == answered || outcome == link_lost,
          "RULE: the scope ends by terminal or loss\n");
      RULE(lost || terminals == 1, "RULE: one terminal\n");
      RULE(life[CALLEE] == ended, "RULE: the callee ends with the context\n")
    :: else ->
      RULE(life[OPENER] != unopened && life[CALLEE] != ended,
          "RULE: both ends agree that it goes on\n");
      RULE(!lost, "RULE: loss ends the context\n");
      RULE(cancels == 0 && !cancelled[OPENER] && !cancelled[CALLEE],
          "RULE: every CANCEL is answered\n");
      RULE(user[OPENER] != awaiting, "RULE: who waits for the result gets it\n");
      RULE(want[OPENER] == 0 && want[CALLEE] == 0 && answer == 0,
          "RULE: what was decided is written\n");
      RULE(in[CALLEE] != stopped && (in[OPENER] != stopped || life[CALLEE] != started),
          "RULE: STOP is answered by END\n");
      RULE(user[OPENER] != sending || fair_send(OPENER, CALLEE),
          "RULE: a send that may go on goes on\n");
      RULE(user[CALLEE] != sending || fair_send(CALLEE, OPENER),
          "RULE: a send that may go on goes on\n");
      RULE(user[OPENER] != receiving || fair_receive(OPENER, CALLEE),
          "RULE: a receive that may end ends\n");
      RULE(user[CALLEE] != receiving || fair_receive(CALLEE, OPENER),
          "RULE: a receive that may end ends\n");
      /* What is left is the users' own: both stand in send and neither reads, or both in receive
       * and neither sends. */
      RULE(user[OPENER] == user[CALLEE] && (user[OPENER] == sending || user[OPENER] == receiving),
        "RULE: a context stands still only if both users wait alike\n");
#ifdef WITNESS_BOTH_STAND_IN_SEND
      RULE(user[OPENER] != sending, "WITNESS: both users stand in send\n");
#endif
    fi
  }
}

init {
  atomic {
    if :: open_send = true :: skip fi;
    if :: open_credit = true; if :: open_grant = 1 :: skip fi :: skip fi;
#ifdef FRAGMENTED
    if :: open_split = true :: skip fi;
#endif
    run Opener(); run Callee();
#if !defined(LTL_CANCEL) && !defined(LTL_AWAIT) && !defined(LTL_STOP)
    run Judge(); /* a temporal claim is judged on its own strength */
#endif
#ifdef LOSS
    run Link()
#endif
  }
}

/* Liveness, each under weak fairness: an end that may always make a step makes one some day. */
#ifdef LTL_CANCEL
ltl cancel_answered { [] ((cancels > 0) -> <> (life[OPENER] == ended)) }
#endif
#ifdef LTL_AWAIT
ltl result_comes { [] ((user[OPENER] == awaiting) -> <> (life[OPENER] == ended)) }
#endif
#ifdef LTL_STOP
ltl stop_answered {
  [] ((in[CALLEE] == stopped) -> <> (in[CALLEE] == ended)) &&
  [] ((in[OPENER] == stopped && life[CALLEE] == started) -> <> (in[OPENER] == ended)) }
#endif
