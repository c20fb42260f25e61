/* SPDX-License-Identifier: MIT
 *
 * The runtime, and what its two halves offer each other.
 *
 * The *core* (loop, timer, link, peer, context, scope, error, export, listen, dial, hot, log) knows
 * links and contexts and nothing of processes; the *process* half (spawn, child, actor, watchdog,
 * adopt, rundir, registry, info) builds actors of it. The core never calls the process half by
 * name: it has hooks (copse__link_hooks, copse.on_root_ended), so that a test can link the core
 * alone. runtime.c ties the two together.
 *
 * The turn. libuv callbacks only mark; everything else, all user code included, runs in the turn
 * (loop.c), from uv_check after the poll and from uv_prepare where something came up before it.
 * What is called from user code at any time takes effect on data at once, but calls no user code:
 * what is to be told is put on a list of the runtime and told in the turn.
 *
 * What there is for the process half, in short:
 *  - copse__poll_*      watch a descriptor; the callback runs in the turn (pidfds, stderr pipes,
 *                       listening sockets).
 *  - copse__timer_*     one-shot timers, in the turn, free to start and stop.
 *  - copse__member_join an embedded member of a scope, with a synchronous cancel hook.
 *  - copse__link_new    an engine on descriptors; copse__link_hooks: hello, opened, lost, silent,
 *                       unresponsive.
 *  - copse__peer_new    who it is, before or after there is a link; copse__link_bind ties them.
 *  - copse__peer_hold / copse__peer_release: user's opens wait until the child is ready, or fail
 *                       with it.
 *  - copse__open        like copse_open, also in no scope at all, and past the hold (for
 *                       copse.actor).
 *  - link->owned        this link's contexts do not end with it: hooks.lost is told, and its owner
 *                       later calls copse__link_fail_all(link, error) and
 *                       copse__peer_fail_held(peer, error) with one `died` for all.
 *  - copse__export      copse_export without the refusal of "copse." names.
 *  - rt->phase          NOT_READY / READY / CLOSING: how a stranger's OPEN is answered (copse.actor
 *                       is let through).
 *  - copse__held_end    ends contexts that exist to be held with RETURN nil.
 *  - copse__core_close  listeners off, BYE on every link, and a call when the last is gone.
 *                       copse__stop ends copse_run.
 */
#ifndef COPSE_RUNTIME_INTERNAL_H
#define COPSE_RUNTIME_INTERNAL_H

#include "runtime/context.h"
#include "runtime/link.h"
#include "runtime/list.h"
#include "runtime/listen.h"
#include "runtime/scope.h"
#include "runtime/turn.h"

#include <copse.h>
#include <signal.h>
#include <stdatomic.h>
#include <uv.h>

/* The defaults of copse_rungs. */
#define COPSE__GRACE_MS 3000u
#define COPSE__TERM_MS 500u
#define COPSE__BOOT_MS 30000u

typedef enum copse__phase { COPSE__NOT_READY, COPSE__READY, COPSE__CLOSING } copse__phase;

typedef struct copse__process copse__process; /* the process half's own state (actor.c) */

struct copse {
  /* loop.c */
  uv_loop_t *loop;
  uv_loop_t own_loop;
  bool exits; /* see copse_config */
  bool loop_is_own, in_turn, in_pump, idling, stopped, running;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t async;
  uv_timer_t timer;
  unsigned handles;        /* of libuv, not yet closed */
  copse__timer *timers[2]; /* heaps: [1] of those that copse_pump may run */
  uint64_t armed;          /* when the libuv timer will fire */
  copse__list polls_due, links_active, links_dirty, members_due, contexts_due, scopes_ended, graves;
  copse_job jobs;   /* head of the posted ones */
  atomic_int turns; /* read by the watchdog's thread and in a signal handler */

  /* links and peers */
  copse__list links, peers, listeners, dials;
  size_t greeting; /* accepted links without HELLO */
  bool closing;
  void (*closed_cb)(copse *rt);
  copse_job closed_job;
  /* Asked at the HELLO of an accepted link: a child that dials its parent. */
  bool (*claim)(copse__link *link, const copse_event *event);
  copse_event event; /* the one being told */

  /* scopes and contexts */
  copse_scope *root;   /* the actor's own; NULL once it has ended, like the next */
  copse_scope *served; /* parent of all that is served; a service of `root` */
  /* In the turn. */
  void (*on_root_ended)(copse *rt, copse_error *error, bool cancelled);
  /* In copse_pump: what must be heard in the middle of user code (signals). NULL: nothing. */
  void (*on_pump)(copse *rt);
  /* Only services are left in `root`. NULL: copse__serve_end. */
  void (*on_served_finish)(copse *rt);
  copse__phase phase;
  copse__export_entry **exports;
  size_t export_slots, export_count;
  copse_lookup (*fallback)(copse_context *ctx, const char *target, copse_bytes args, void *arg);
  void *fallback_arg;

  /* what it is */
  copse_ref self;
  copse_limits limits;
  copse_rungs rungs;
  copse_log_level log_level;
  char *token_file;
  copse_peer *parent; /* holds a reference; NULL in a root */
  void *data;
  int exit_status;
  copse_error *result; /* what ended the root scope */
  bool result_cancelled;

  /* hot.c */
  void (*interrupt)(void *arg);
  void *interrupt_arg;
  timer_t cpu_timer;
  bool cpu_timer_on;
  bool pumped; /* in this turn */
  int backend_fd;
  sig_atomic_t seen_turns;
  _Atomic uint64_t next_due;

  copse__process *process;
};

/* --- core.c, log.c, hot.c --------------------------------------------------------------------- */

/* All but processes. `id` NULL: random. COPSE_ENOMEM, COPSE_ESYSTEM, COPSE_EINVAL. */
copse_status copse__core_new(copse **rt, const copse_config *config, const uint8_t *id,
                             const char *name);
void copse__core_free(copse *rt);
/* No more contexts are served: new ones are refused (`closing`), the served scope is sealed. */
void copse__serve_end(copse *rt);
/* Closes listeners and says BYE on all links; `closed` runs in the turn when the last is closed
 * (bounded by COPSE__CLOSE_MS each). */
void copse__core_close(copse *rt, void (*closed)(copse *rt));
bool copse__random(void *bytes, size_t size);

void copse__log_init(copse *rt, const copse_config *config);
const char *copse__log_name(copse_log_level level);

void copse__hot_deinit(copse *rt);

/* --- what runtime.c expects of the process half ----------------------------------------------- */

/* What the environment says that this process is, before the core is made: id (16 bytes) and name
 * from COPSE_ACTOR; is_child false: a root. COPSE_EADDRESS when malformed. */
copse_status copse__process_identity(const copse_config *config, bool *is_child, uint8_t id[16],
                                     char name[COPSE_NAME_MAX + 1], char **why);
/* After the core is there: reads and removes COPSE_* (unless the environment is ignored), makes the
 * parent's link, watchdog, runtime directory, exports of copse.*; listens on config->listen. On
 * failure sets *why and returns. Must be undone by copse__process_deinit, also after failure. */
copse_status copse__process_init(copse *rt, const copse_config *config, char **why);
/* copse_run began: a root posts main, a child keeps it for copse.actor. */
void copse__process_run(copse *rt, copse_main_cb main, void *arg);
void copse__process_deinit(copse *rt);

#endif
