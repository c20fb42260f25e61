/* SPDX-License-Identifier: MIT
 *
 * The greeting: what a peer's HELLO makes of a link, and the heartbeats that the
 * two HELLOs promise.
 *
 * Who somebody is, a link is told once. Where an actor is expected, it has to be that one; where
 * nobody is, whoever owns the link is asked; and only then does an acceptor say who it is itself.
 * From then on each side may have promised to be heard of every so often, which is kept and judged
 * here. On one machine silence is only reported: the end of the input and the exit of the process
 * are the proof of death.
 */
#include "runtime/internal.h"

#include <poll.h>
#include <string.h>

static void start_heart(copse__link *link);

static void on_heart(copse__timer *timer) {
  copse__link *link = copse__of(timer, copse__link, heart);
  copse *rt = link->rt;
  uint64_t now = copse_now(rt);
  if (link->state != COPSE__LINK_OPEN) return;
  /* Our promise: twice per interval we look whether something was said since the last time. */
  if (link->heartbeat_ms && link->ticked_out == link->last_out &&
      copse_wire_pong(link->wire) == COPSE_OK)
    copse__link_flush(link);
  link->ticked_out = link->last_out;
  /* The peer's. Input that waits in the descriptor counts: it may be us who slept. */
  if (link->peer_heartbeat_ms && now - link->last_in >= 3ull * link->peer_heartbeat_ms &&
      !link->quiet) {
    struct pollfd waiting = {.fd = link->rfd, .events = POLLIN};
    if (!link->readable && poll(&waiting, 1, 0) == 0) {
      copse_peer_state state = COPSE_PEER_UNRESPONSIVE;
      if (link->hooks && link->hooks->silent) state = link->hooks->silent(link);
      link->quiet = true;
      if (link->peer) link->peer->state = state;
      copse_log(rt, COPSE_LOG_WARN, "%s is %s: nothing heard for %llu ms",
                link->peer ? link->peer->ref.name : "a peer",
                state == COPSE_PEER_SUSPENDED ? "suspended" : "unresponsive",
                (unsigned long long)(now - link->last_in));
    }
  }
  start_heart(link);
}

static void start_heart(copse__link *link) {
  uint32_t every = link->peer_heartbeat_ms;
  if (link->heartbeat_ms && (!every || link->heartbeat_ms / 2 < every))
    every = link->heartbeat_ms / 2;
  if (every) copse__timer_start(link->rt, &link->heart, copse__after(link->rt, every), on_heart);
}

static void opened(copse__link *link) {
  copse *rt = link->rt;
  link->state = COPSE__LINK_OPEN;
  link->last_in = copse_now(rt);
  copse__timer_stop(rt, &link->timer);
  link->heart.pump = true; /* a promise of the runtime, whatever user code is doing */
  start_heart(link);
  copse_log(rt, COPSE_LOG_DEBUG, "link with %s is open", link->peer->ref.name);
  if (link->hooks && link->hooks->opened) link->hooks->opened(link);
}

void copse__link_hello(copse__link *link, const copse_event *event) {
  copse_code code = COPSE_CODE_INTERNAL;
  const char *why = "refused";
  copse_peer *peer = link->peer;
  link->peer_heartbeat_ms = event->hello.heartbeat_ms;
  if (peer && peer->known &&
      memcmp(peer->ref.id, event->hello.actor.id, sizeof peer->ref.id) != 0) {
    copse__link_bye(link, COPSE_CODE_WRONG_ACTOR, "another actor was expected here");
    return;
  }
  if (link->hooks && link->hooks->hello && !link->hooks->hello(link, event, &code, &why)) {
    copse__link_bye(link, code, why);
    return;
  }
  if (link->state != COPSE__LINK_HELLO) return; /* the hook thought better of it */
  peer = link->peer;
  if (!peer) {
    peer = copse__peer_new(link->rt, &event->hello.actor);
    if (!peer) {
      copse__link_bye(link, COPSE_CODE_NO_MEMORY, "out of memory");
      return;
    }
    copse__link_bind(link, peer);
    copse__peer_unref(peer);
  } else {
    peer->ref = event->hello.actor;
    peer->known = true;
  }
  if (!link->connector && copse_wire_accept(link->wire) != COPSE_OK) {
    copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
    return;
  }
  copse__link_dirty(link);
  opened(link);
}
