/* SPDX-License-Identifier: MIT
 *
 * chain.pml: three processes in a row, each holding a context on the next.
 *
 * Here the question is no longer one edge but the tree: that a terminal never overtakes what runs
 * below it, that cancellation reaches the bottom, that no error is lost on the way up, and that
 * whatever dies leaves nothing behind. Contexts are reduced to OPEN, CANCEL and the terminal, for
 * context.pml has the rest.
 *
 * Process 0 is the root; link e joins e and e + 1. With CHILD each process is spawned by the one
 * before it, exits after its terminal and is waited for; without, all live from the start and
 * outlive their contexts.
 *
 * FAULTS n      kills and cuts, of any process and link, at any moment
 * SHUTDOWN      process 2 may be cancelled by somebody else
 * DEAF          process 2 heeds neither CANCEL nor the loss of its link; its ancestors have ladders
 *               (with CHILD only)
 * MUTANT_x, WITNESS_x: see README.md
 *
 * Time is only an order here: that the grace of a parent is longer than what it passes on means
 * that its rung comes after its child's.
 */

#ifndef FAULTS
#define FAULTS 0
#endif
#define CAP 2

#define RULE(condition, name) if :: (condition) -> skip :: else -> printf(name); assert(false) fi

mtype = { OPEN, CANCEL, RETURN, ERROR, CANCELLED };
mtype = { none, live, over };
#define NOBODY 9

/* the byte says who gave the first cause of a cancellation */
chan down[2] = [CAP] of { mtype, byte };
chan up[2] = [CAP] of { mtype, byte };
bool cut[2];

bool alive[3];
bool running[3];      /* my scope is open */
bool cancelled[3];
bool failed[3];       /* an error ends my scope */
bool eof[3];          /* I saw the loss of the link to my parent */
byte cause[3] = NOBODY;
mtype context[3] = none; /* the context that I opened below */
bool told[3];         /* I sent CANCEL on it */

bool held;            /* the handler of process 2 ends only when it is cancelled */
bool raised;          /* somebody's own code failed */
bool disturbed;       /* a fault, a ladder or somebody else's shutdown took part */

#define is_root (me == 0)
#define may_ever_end !(deaf && me == 2)
#ifdef DEAF
#define deaf 1
#else
#define deaf 0
#endif

#ifdef CHILD
#define below_is_gone (context[me] == none || (context[me] == over && !alive[me + 1]))
#define loss_is_settled (!alive[me + 1]) /* the status is known, the child reaped */
#else
#define below_is_gone (context[me] != live)
#define loss_is_settled 1
#endif

#ifdef MUTANT_ANSWER_BEFORE_BELOW
#define may_finish (cancelled[me] || failed[me] || below_is_gone)
#else
#define may_finish below_is_gone
#endif

#ifdef MUTANT_ABSORPTION_BY_IDENTITY
#define absorbed (by == me)
#else
#define absorbed told[me]
#endif

/* The ladder of `me` ends its child. A parent's rung comes after its child's rungs. */
#ifdef MUTANT_GRACE_NOT_NESTED
#define rung_is_due 1
#else
#define rung_is_due (me == 1 || !alive[2])
#endif

inline kill(who) {
  alive[who] = false; running[who] = false;
  if :: who > 0 -> cut[who - 1] = true :: else -> skip fi;
  if :: who < 2 -> cut[who] = true :: else -> skip fi
}

proctype Process(byte me) {
  mtype frame; byte by;
end: do
  /* Downward. */
  :: atomic { alive[me] && !is_root && nempty(down[me - 1]) -> down[me - 1]?frame, by;
      if
      :: frame == OPEN -> running[me] = true
      :: frame == CANCEL && running[me] && may_ever_end -> cancelled[me] = true; cause[me] = by
      :: else -> skip /* late, or deaf */
      fi;
      frame = 0; by = 0 }
  :: atomic { alive[me] && !is_root && cut[me - 1] && empty(down[me - 1]) && !eof[me] &&
      may_ever_end ->
      eof[me] = true;
#ifndef MUTANT_LOSS_DOES_NOT_CANCEL
      if
      :: running[me] && !cancelled[me] -> cancelled[me] = true; cause[me] = me
      :: else -> skip
      fi
#endif
    }
  :: atomic { is_root && running[me] && !cancelled[me] -> cancelled[me] = true; cause[me] = me }

  /* The scope. */
  :: atomic { me < 2 && running[me] && context[me] == none && !cancelled[me] && !failed[me] &&
      !cut[me] ->
      down[me]!OPEN(NOBODY); context[me] = live;
#ifdef CHILD
      alive[me + 1] = true
#endif
    }
  :: atomic { running[me] && !raised && may_ever_end -> failed[me] = true; raised = true }
#ifdef SHUTDOWN
  :: atomic { me == 2 && running[me] && !cancelled[me] ->
      cancelled[me] = true; cause[me] = NOBODY; disturbed = true }
#endif
  :: atomic { me < 2 && running[me] && context[me] == live && !told[me] &&
      (cancelled[me] || failed[me]) && (cut[me] || nfull(down[me])) ->
      told[me] = true;
      if
      :: cut[me] -> skip
      :: !cut[me] && cancelled[me] -> down[me]!CANCEL(cause[me])
      :: !cut[me] && !cancelled[me] -> down[me]!CANCEL(me)
      fi }

  /* Upward. */
  :: atomic { me < 2 && alive[me] && nempty(up[me]) -> up[me]?frame, by;
      RULE(context[me] == live, "RULE: one terminal\n");
      context[me] = over;
      if
      :: running[me] && (frame == ERROR || (frame == CANCELLED && !absorbed)) -> failed[me] = true
      :: else -> skip
      fi;
      frame = 0; by = 0 }
  :: atomic { me < 2 && alive[me] && context[me] == live && cut[me] && empty(up[me]) &&
      loss_is_settled ->
      context[me] = over; failed[me] = true }
#ifdef DEAF
  :: atomic { me < 2 && alive[me] && alive[me + 1] && (told[me] || cut[me]) && rung_is_due ->
      kill(me + 1); disturbed = true }
#endif

  :: atomic { running[me] && may_ever_end && may_finish &&
      (me < 2 || !held || cancelled[me] || failed[me]) &&
      (is_root || cut[me - 1] || nfull(up[me - 1])) ->
#ifdef CHILD
      RULE(is_root || me == 2 || context[me] == none || !alive[me + 1],
          "RULE: the terminal leaves after all below has been reaped\n");
#else
      RULE(me == 2 || context[me] != live, "RULE: the terminal leaves after all below has ended\n");
#endif
      running[me] = false;
      if
      :: is_root || cut[me - 1] -> skip
      :: !is_root && !cut[me - 1] && failed[me] -> up[me - 1]!ERROR(NOBODY)
      :: !is_root && !cut[me - 1] && !failed[me] && cancelled[me] -> up[me - 1]!CANCELLED(cause[me])
      :: !is_root && !cut[me - 1] && !failed[me] -> up[me - 1]!RETURN(NOBODY)
      fi;
#ifdef CHILD
      if
      :: !is_root -> kill(me) /* exit: what was written can still be read */
      :: else -> skip
      fi
#endif
    }
#ifdef CHILD
  /* Lost before the first OPEN was read: nothing to clean up. */
  :: atomic { alive[me] && !is_root && eof[me] && !running[me] -> kill(me) }
#endif
  od
}

#define strike(who) atomic { alive[who] -> kill(who); disturbed = true }
#define sever(which) atomic { !cut[which] -> cut[which] = true; disturbed = true }

proctype Fate() {
  byte left = FAULTS;
  do
  :: left > 0 ->
    left--;
    if
    :: strike(0)
#ifndef DEAF
    :: strike(1) /* kill -9 above a deaf process: no protocol can help, see README.md */
#endif
    :: strike(2)
    :: sever(0)
    :: sever(1)
    :: skip
    fi
  :: break
  od
}

proctype Judge() {
  atomic {
    timeout ->
    RULE(!running[0], "RULE: the root's scope ends\n");
    RULE(!running[1] && !running[2], "RULE: no scope is left running\n");
#ifdef CHILD
    RULE(!alive[1] && !alive[2], "RULE: no process is left\n");
#endif
    RULE(!raised || disturbed || failed[0], "RULE: no error is dropped\n");
    RULE(!failed[0] || raised || disturbed, "RULE: one's own cancellation is no error\n");
#ifdef WITNESS_ERROR_FROM_BELOW
    RULE(!(failed[0] && failed[2] && cancelled[0] && !disturbed),
        "WITNESS: an error from below survives the cancellation from above\n")
#endif
  }
}

init {
  atomic {
    alive[0] = true; running[0] = true;
#ifndef CHILD
    alive[1] = true; alive[2] = true;
#endif
    if :: held = true :: skip fi;
    run Process(0); run Process(1); run Process(2); run Fate(); run Judge()
  }
}
