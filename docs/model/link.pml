/* SPDX-License-Identifier: MIT
 *
 * link.pml: the end of a link that nobody broke.
 *
 * BYE ends a link without losing anything, though either side, or both at once, may say it at any
 * moment while OPENs of either direction are still under way, or half written. Contexts are reduced
 * to an OPEN, in one piece or in two, and its terminal. What must hold: every OPEN that was written
 * is answered, refusals included; both sides close; none takes the other's close for a loss.
 *
 * Numbers: M contexts per direction, CAP frames in flight. MUTANT_x breaks one rule.
 */

#ifndef M
#define M 2
#endif
#ifndef CAP
#define CAP 2
#endif

#define RULE(condition, name) if :: (condition) -> skip :: else -> printf(name); assert(false) fi

/* FIRST and LAST: an OPEN in two fragments; a CANCEL may stand for LAST */
mtype = { OPEN, FIRST, LAST, TERMINAL, BYE };

chan wire[2] = [CAP] of { mtype }; /* wire[me] carries what `me` writes */

bool bye_sent[2], bye_received[2];
bool closed[2];
byte opened[2];   /* by me */
bool writing[2];  /* my OPEN is half written */
bool reading[2];  /* the peer's OPEN is half read: nothing answers it yet, but it holds its slot */
byte ended[2];    /* of those, the ones whose terminal I have */
byte serving[2];  /* opened by the peer and not answered; handlers end whenever they like */
byte refusing[2]; /* opened by the peer after my BYE: `closing` is owed */

#define peer (1 - me)
/* a side that has closed discards what still comes */
#define room (closed[peer] || nfull(wire[me]))
#define nothing_open (opened[me] == ended[me] && serving[me] == 0 && refusing[me] == 0 && \
    !reading[me])

#ifdef MUTANT_BYE_UNANSWERED
#define may_close ((bye_sent[me] || bye_received[me]) && nothing_open)
#else
#ifdef MUTANT_CLOSE_LEAVES_CONTEXTS
#define may_close (bye_sent[me] && bye_received[me])
#else
#define may_close (bye_sent[me] && bye_received[me] && nothing_open)
#endif
#endif

#ifdef MUTANT_OPEN_AFTER_BYE
#define may_open (opened[me] < M && !writing[me])
#else
#define may_open (opened[me] < M && !writing[me] && !bye_sent[me] && !bye_received[me])
#endif
/* An OPEN that was begun is brought to its end, or cancelled, whatever was said meanwhile. */
#ifdef MUTANT_BYE_STRANDS_AN_OPEN
#define may_go_on (!bye_sent[me] && !bye_received[me])
#else
#define may_go_on 1
#endif

inline put(frame) {
  if
  :: closed[peer] -> skip
  :: else -> wire[me]!frame
  fi
}

proctype Side(byte me) {
  mtype frame;
end: do
  :: atomic { !closed[me] && may_open && room -> opened[me]++;
      if
      :: true -> put(OPEN)
      :: true -> put(FIRST); writing[me] = true
      fi }
  :: atomic { !closed[me] && writing[me] && may_go_on && room -> put(LAST); writing[me] = false }
  :: atomic { !closed[me] && !bye_sent[me] && room -> put(BYE); bye_sent[me] = true }
  :: atomic { !closed[me] && serving[me] > 0 && room -> put(TERMINAL); serving[me]-- }
  :: atomic { !closed[me] && refusing[me] > 0 && room -> put(TERMINAL); refusing[me]-- }
  :: atomic { !closed[me] && nempty(wire[peer]) -> wire[peer]?frame;
      if
      :: frame == FIRST -> RULE(!bye_received[me], "RULE: no OPEN after BYE\n"); reading[me] = true
      :: frame == OPEN || frame == LAST ->
        RULE(frame == LAST || !bye_received[me], "RULE: no OPEN after BYE\n");
        if :: frame == LAST -> reading[me] = false :: else -> skip fi;
        if
        :: bye_sent[me] -> refusing[me]++
        :: else -> serving[me]++
        fi
      :: frame == TERMINAL -> ended[me]++
      :: frame == BYE -> RULE(!bye_received[me], "RULE: one BYE\n"); bye_received[me] = true
      fi;
      frame = 0 }
  :: atomic { !closed[me] && may_close -> closed[me] = true }
  :: atomic { !closed[me] && closed[peer] && empty(wire[peer]) ->
      RULE(nothing_open && bye_received[me], "RULE: a graceful end loses nothing\n");
      RULE(bye_sent[me], "RULE: BYE is answered before the close\n");
      closed[me] = true }
  od
}

proctype Judge() {
  atomic {
    timeout ->
    RULE(closed[0] && closed[1], "RULE: both sides close\n");
    RULE(opened[0] == ended[0] && opened[1] == ended[1], "RULE: every OPEN is answered\n");
    RULE(len(wire[0]) + len(wire[1]) == 0, "RULE: nothing follows the close\n")
  }
}

init { atomic { run Side(0); run Side(1); run Judge() } }
