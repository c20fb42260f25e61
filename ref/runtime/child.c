/* SPDX-License-Identifier: MIT
 *
 * child.c: a child process, from spawn to grave.
 *
 * A child is the context `copse.actor` that we hold open on it: STARTED says that it is ready,
 * END asks it to finish, CANCEL to stop, its terminal says how it went. That is what a
 * well-behaved child does, and all that user code sees of it. But a process can also die, hang,
 * stop, close its link, say nothing or say nonsense, in any order and at any moment; so the
 * child is a small machine, whose moves are the table below, and every event is nothing but a
 * reason for a move.
 *
 *   BOOTING  READY    the process runs, and the link may or may not
 *   ENDED             the terminal has come, or the link is lost: it is to exit, and the ladder
 *                     waits for it
 *   DEAD              it has exited; what it wrote before is still being read, because a terminal
 *                     may be in it
 *   REAPED            what it left behind is being looked for and ended (adopt.c)
 *   ALONE             nothing below it lives; its last words are being read (tail.c)
 *   GONE              the verdict is out (obituary.c): contexts on its link end, with one error for
 *                     all, the scope hears of it, and that is all
 *
 * So a scope with children never ends before every process below it is gone, and no context ends
 * with a guess about what happened. The ladder runs beside the machine; whatever makes it begin,
 * it only hastens the exit.
 */
#include "runtime/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_MS 1000 /* how long a dead child's link is read, should somebody else hold its end */
#define ARGS_MAX (64u << 20)

#define MAY(state) (1u << COPSE__CHILD_##state)
static const unsigned moves[] = {
    [COPSE__CHILD_BOOTING] = MAY(READY) | MAY(ENDED) | MAY(DEAD) | MAY(GONE),
    [COPSE__CHILD_READY] = MAY(ENDED) | MAY(DEAD),
    [COPSE__CHILD_ENDED] = MAY(DEAD),
    [COPSE__CHILD_DEAD] = MAY(REAPED),
    [COPSE__CHILD_REAPED] = MAY(ALONE),
    [COPSE__CHILD_ALONE] = MAY(GONE),
    [COPSE__CHILD_GONE] = 0,
};

static bool move(copse_child *child, copse__child_state to) {
  if (!(moves[child->state] & (1u << to))) return false;
  child->state = to;
  return true;
}

void copse__hex(const uint8_t id[16], char hex[33]) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 16; i++) {
    hex[2 * i] = digits[id[i] >> 4];
    hex[2 * i + 1] = digits[id[i] & 15];
  }
  hex[32] = 0;
}

bool copse__unhex(const char *hex, uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < 2 * size; i++) {
    char c = hex[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return false;
    bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] | digit : digit << 4);
  }
  return hex[2 * size] == 0 || hex[2 * size] == ' ' || hex[2 * size] == '@';
}

static bool link_is_over(const copse_child *child) {
  return !child->link || child->link->state == COPSE__LINK_CLOSED || child->link->lost_told;
}

/* --- the ladder ------------------------------------------------------------------------------- */

/* How long a child may take that is asked to go: what its options say, and no longer than we may
 * take ourselves. CANCEL tells it three quarters of that (see context.c). */
static uint64_t patience(const copse_child *child, int64_t ours) {
  uint64_t grace = child->rungs.grace_ms;
  return ours >= 0 && (uint64_t)ours < grace ? (uint64_t)ours : grace;
}

/* Asks, once more perhaps with less patience. A child among our ancestors waits for us in the
 * same way, so our ladder must end within what we were told: SIGTERM comes after three quarters
 * of it, SIGKILL before the end. Nobody waits for a root. */
static void climb_from_ground(copse_child *child, uint64_t grace) {
  if (child->proc.exited) return;
  if (child->rt->process->is_child) {
    uint32_t term = (uint32_t)(grace / 8);
    if (term < child->ladder.term_ms) child->ladder.term_ms = term;
    grace = grace / 4 * 3;
  }
  copse__ladder_climb(&child->ladder, COPSE__RUNG_ASKED, grace);
}

static void send_signal(copse__ladder *ladder, int signal) {
  copse_child *child = copse__of(ladder, copse_child, ladder);
  copse_log(child->rt, COPSE_LOG_WARN, "%s (%ld) does not go by itself: signal %d",
            child->peer->ref.name, (long)child->proc.pid, signal);
  if (signal == SIGKILL) copse__proc_kill_group(&child->proc, signal);
  copse__proc_kill(&child->proc, signal);
  /* A stopped process takes no signal but these two; it shall have its chance to clean up. */
  if (signal == SIGTERM) copse__proc_kill(&child->proc, SIGCONT);
}

/* It is to exit by itself, and soon. */
static void expect_exit(copse_child *child) { climb_from_ground(child, patience(child, -1)); }

/* --- the context copse.actor ------------------------------------------------------------------ */

static void start_cancel(copse_child *child) {
  if (child->actor)
    copse__context_cancel(child->actor, &child->cause, (int64_t)child->cancel_grace_ms);
}

static void on_started(copse_context *ctx, copse_bytes value, void *arg) {
  copse_child *child = arg;
  copse_bytes list, text;
  copse_reader reader;
  copse_token token;
  (void)ctx;
  /* What a child said before it died is still true: it was ready, for however short a time. */
  if (move(child, COPSE__CHILD_READY)) copse__timer_stop(child->rt, &child->boot);
  else if (child->state != COPSE__CHILD_DEAD) return;
  copse_ref *ref = &child->peer->ref;
  ref->address_count = 0;
  if (copse_map_get(value, "listen", &list) == COPSE_OK) {
    copse_reader_init(&reader, list);
    if (copse_read(&reader, &token) == COPSE_OK && token.type == COPSE_ARRAY)
      while (ref->address_count < COPSE_REF_ADDRESSES_MAX &&
             copse_read_value(&reader, &list) == COPSE_OK)
        if (copse_value_str(list, &text) == COPSE_OK && text.size > 0 &&
            text.size <= COPSE_ADDRESS_MAX)
          snprintf(ref->addresses[ref->address_count++], COPSE_ADDRESS_MAX + 1, "%.*s",
                   (int)text.size, (const char *)text.data);
  }
  copse__peer_release(child->peer);
  if (child->cbs.ready) child->cbs.ready(child, child->arg);
}

/* The terminal, if it has come by the link; when we end the context ourselves, the verdict is
 * out. */
static bool on_terminal(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  copse_child *child = arg;
  (void)ctx;
  child->actor = NULL;
  if (child->state >= COPSE__CHILD_REAPED) return true;
  child->terminal = true;
  child->kind = outcome->kind;
  if (outcome->kind == COPSE_RETURNED)
    copse_buf_append(&child->value, outcome->value.data, outcome->value.size);
  else if (outcome->kind == COPSE_FAILED) child->error = copse_error_ref(outcome->error);
  else if (outcome->cause) child->cause = *outcome->cause;
  child->ran = outcome->ran;
  if (child->state == COPSE__CHILD_DEAD)
    return true; /* read after its exit: the timer is that of drain */
  copse__timer_stop(child->rt, &child->boot);
  move(child, COPSE__CHILD_ENDED);
  expect_exit(child);
  return true;
}

static void on_opened(copse__link *link) {
  copse_child *child = link->owner;
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "copse.actor";
  options.args = copse_buf_bytes(&child->args);
  options.send = true;
  options.cbs.started = on_started;
  options.cbs.done = on_terminal;
  options.data = child;
  if (child->state != COPSE__CHILD_BOOTING) return;
  copse_status status =
      copse__open(child->peer, NULL, &options, COPSE__OPEN_PAST_HOLD, &child->actor);
  copse_buf_deinit(&child->args);
  if (status != COPSE_OK) {
    child->error = copse_status_error(status, "copse.actor");
    copse__ladder_climb(&child->ladder, COPSE__RUNG_TERMED, 0);
    return;
  }
  if (child->finish_asked) copse_end(child->actor);
  if (child->cancel_asked) {
    /* Else it would be withdrawn, and the child would never hear of either. */
    copse__link_flush(link);
    start_cancel(child);
  }
}

static copse_status pack_args(copse_child *child, copse_bytes config) {
  copse *rt = child->rt;
  copse__process *process = rt->process;
  copse_buf *args = &child->args;
  char id[33];
  copse_buf_init(args, ARGS_MAX, NULL);
  copse_pack_map(args, 7);
  copse_pack_cstr(args, "parent");
  copse_pack_ref(args, &rt->self, true);
  copse_pack_cstr(args, "registrar");
  copse_pack_array(args, process->registrar_count);
  for (size_t i = 0; i < process->registrar_count; i++)
    copse_pack_cstr(args, process->registrars[i]);
  copse_pack_cstr(args, "listen");
  copse_pack_array(args, process->tree_path[0] ? 1 : 0);
  if (process->tree_path[0]) {
    char address[COPSE_ADDRESS_MAX + 1];
    copse__hex(child->peer->ref.id, id);
    snprintf(address, sizeof address, "unix:%s/%.16s", process->tree_path, id);
    copse_pack_cstr(args, address);
  }
  copse_pack_cstr(args, "grace");
  copse_pack_int(args, child->rungs.grace_ms);
  copse_pack_cstr(args, "log");
  static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};
  copse_pack_cstr(args, levels[copse_log_get_level(rt)]);
  copse_pack_cstr(args, "debug");
  copse_pack_bool(args, process->debug);
  copse_pack_cstr(args, "config");
  if (config.size) copse_pack_value(args, config);
  else copse_pack_map(args, 0);
  return copse_buf_status(args);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void release(copse__grave *grave) {
  copse_child *child = copse__of(grave, copse_child, grave);
  copse_error_unref(child->error);
  copse_error_unref(child->lost);
  copse_buf_deinit(&child->args);
  copse_buf_deinit(&child->value);
  if (child->link) copse__link_unref(child->link);
  if (child->peer) {
    child->peer->child = NULL;
    copse__peer_unref(child->peer);
  }
  free(child->command);
  free(child);
}

/* Whether a cancellation is the answer to ours, and so no error. */
static copse_error *error_for_scope(copse_child *child, copse_outcome_kind kind) {
  if (kind == COPSE_FAILED) return copse_error_ref(child->error);
  if (kind == COPSE_RETURNED || child->cancel_asked) return NULL;
  return copse__error_at(COPSE_CODE_CANCELLED, &child->peer->ref, (copse_bytes){NULL, 0},
                         "\"%s\" was cancelled (%s)%s%s", child->peer->ref.name,
                         copse_origin_text(child->cause.origin),
                         child->cause.message[0] ? ": " : "", child->cause.message);
}

static void conclude(copse_child *child) {
  copse *rt = child->rt;
  if (!move(child, COPSE__CHILD_GONE)) return;
  copse_outcome_kind kind = copse__child_verdict(child);
  copse__proc_close(&child->proc);
  copse__tail_close(&child->tail);
  copse__ladder_stop(&child->ladder);
  copse__timer_stop(rt, &child->boot);
  copse__list_remove(&child->all);
  child->peer->state = COPSE_PEER_LOST;

  /* What is open on one that died ends with the same error; what crossed the terminal of one that
   * ended was never seen by it. What waited for it to be ready fails with it. */
  copse_error *closing =
      copse__error_at(COPSE_CODE_CLOSING, &child->peer->ref, (copse_bytes){NULL, 0},
                      "\"%s\" has ended", child->peer->ref.name);
  if (child->link) copse__link_fail_all(child->link, child->died ? child->error : closing);
  copse__peer_fail_held(child->peer, kind == COPSE_FAILED ? child->error : closing);
  copse_error_unref(closing);

  copse_error *error = error_for_scope(child, kind);
  copse_outcome outcome = {.kind = kind,
                           .value = copse_buf_bytes(&child->value),
                           .error = kind == COPSE_FAILED ? child->error : NULL,
                           .cause = kind == COPSE_WAS_CANCELLED ? &child->cause : NULL,
                           .ran = child->ran};
  if (child->cbs.done && child->cbs.done(child, &outcome, child->arg)) {
    copse_error_unref(error);
    error = NULL;
  }
  copse_member_leave(&child->member, error);
  copse__bury(rt, &child->grave, release);
}

static void on_tail_end(copse__tail *tail) { conclude(copse__of(tail, copse_child, tail)); }

/* Its link is over and it is dead: nothing more can be heard of it. */
static void bring_in(copse_child *child) {
  if (!move(child, COPSE__CHILD_REAPED)) return;
  copse__timer_stop(child->rt, &child->boot);
  copse__proc_reap(&child->proc);
  copse__adopt_sweep(&child->rt->process->adopt, (uint32_t)patience(child, -1));
}

void copse__child_clear(copse__adopt *adopt) {
  copse__list *head = &adopt->rt->process->children, *next;
  for (copse__list *at = head->next; at != head; at = next) {
    copse_child *child = copse__of(at, copse_child, all);
    next = at->next;
    if (move(child, COPSE__CHILD_ALONE)) copse__tail_finish(&child->tail, on_tail_end);
  }
}

bool copse__child_is_spawned(copse__adopt *adopt, pid_t pid) {
  if (adopt->rt->process->template.proc.pid == pid) return true;
  copse__list *head = &adopt->rt->process->children;
  for (copse__list *at = head->next; at != head; at = at->next) {
    const copse_child *child = copse__of(at, copse_child, all);
    if (child->proc.pid == pid && !child->proc.reaped) return true;
  }
  return false;
}

/* The watchdog must not touch a descriptor that may be somebody else's. */
static void forget_link(copse_child *child) {
  copse__watchdog_forget_link(child->rt->process->watchdog, child->link_fd);
  child->link_fd = -1;
}

/* Reads what a dead child wrote. Its end of the link may be held by somebody else, so that the
 * end of the input never comes: then an empty socket is the end. */
static void drain(copse__timer *timer) {
  copse_child *child = copse__of(timer, copse_child, boot);
  copse *rt = child->rt;
  if (link_is_over(child)) return bring_in(child);
  struct pollfd p = {.fd = child->link->rfd, .events = POLLIN};
  bool more =
      child->link->rfd >= 0 && (poll(&p, 1, 0) > 0 || !copse__list_empty(&child->link->active));
  if (more && copse_now(rt) < child->drain_until)
    copse__timer_start(rt, timer, copse_now(rt) + 1, drain);
  else copse__link_abort(child->link, COPSE_CODE_LINK_LOST, "its process has exited");
}

static void on_dead(copse__proc *proc) {
  copse_child *child = copse__of(proc, copse_child, proc);
  if (!move(child, COPSE__CHILD_DEAD)) return;
  copse__ladder_stop(&child->ladder);
  forget_link(child);
  /* Launchers and helpers in its group. Its number is its own until it is reaped. */
  copse__proc_kill_group(proc, SIGKILL);
  child->drain_until = copse_now(child->rt) + DRAIN_MS;
  copse__timer_start(child->rt, &child->boot, copse_now(child->rt), drain);
}

static void on_lost(copse__link *link, copse_error *error, bool graceful) {
  copse_child *child = link->owner;
  (void)graceful;
  forget_link(child);
  copse__timer_stop(child->rt, &child->boot);
  if (!child->lost) child->lost = copse_error_ref(error);
  if (child->state == COPSE__CHILD_DEAD) {
    bring_in(child);
  } else {
    move(child, COPSE__CHILD_ENDED);
    expect_exit(child);
  }
}

static void on_boot_deadline(copse__timer *timer) {
  copse_child *child = copse__of(timer, copse_child, boot);
  child->boot_failed = true;
  copse__ladder_climb(&child->ladder, COPSE__RUNG_TERMED, 0);
}

copse_peer_state copse__child_condition(const copse_child *child) {
  return copse__proc_is_stopped(&child->proc) ? COPSE_PEER_SUSPENDED : COPSE_PEER_UNRESPONSIVE;
}

static copse_peer_state on_silent(copse__link *link) { return copse__child_condition(link->owner); }

static void on_unresponsive(copse__link *link, copse_context *ctx) {
  copse_child *child = link->owner;
  (void)ctx;
  copse__ladder_climb(&child->ladder, COPSE__RUNG_TERMED, 0);
}

static const copse__link_hooks hooks = {
    .opened = on_opened, .lost = on_lost, .silent = on_silent, .unresponsive = on_unresponsive};

void copse__child_guard(copse_child *child, int fd) {
  if (copse__watchdog_add_link(child->rt->process->watchdog, fd) == COPSE_OK) child->link_fd = fd;
}

bool copse__child_claim(copse__link *link, const copse_event *event) {
  copse__list *head = &link->rt->process->children;
  for (copse__list *at = head->next; at != head; at = at->next) {
    copse_child *child = copse__of(at, copse_child, all);
    if (!child->dials || child->link || child->state != COPSE__CHILD_BOOTING) continue;
    if (!copse__equal_secret(event->hello.token.data, event->hello.token.size, child->token,
                             sizeof child->token))
      continue;
    if (memcmp(event->hello.actor.id, child->peer->ref.id, 16) != 0) continue;
    child->link = copse__link_ref(link);
    link->owned = true;
    link->from = COPSE_FROM_CHILD;
    copse__link_bind(link, child->peer);
    copse__link_set_hooks(link, &hooks, child);
    copse__child_guard(child, link->rfd);
    return true;
  }
  return false;
}

void copse__children_drop(copse *rt) {
  for (copse__list *at; (at = copse__list_pop(&rt->process->children));) {
    copse_child *child = copse__of(at, copse_child, all);
    copse_unpost(rt, &child->job);
    copse__timer_stop(rt, &child->boot);
    copse__ladder_stop(&child->ladder);
    if (child->proc.pid && !child->proc.reaped) {
      siginfo_t info;
      copse__proc_kill_group(&child->proc, SIGKILL);
      copse__proc_kill(&child->proc, SIGKILL);
      while (waitid(P_PID, (id_t)child->proc.pid, &info, WEXITED) != 0 && errno == EINTR) continue;
    }
    copse__proc_close(&child->proc);
    copse__tail_close(&child->tail);
    copse_member_leave(&child->member, NULL);
    release(&child->grave);
  }
}

/* --- for users -------------------------------------------------------------------------------- */

void copse_child_finish(copse_child *child) {
  if (child->finish_asked) return;
  child->finish_asked = true;
  if (child->actor) copse_end(child->actor);
}

static void cancel(copse_child *child, const copse_cause *cause, int64_t grace_ms) {
  uint64_t grace = patience(child, grace_ms);
  if (child->state >= COPSE__CHILD_DEAD) return;
  if (!child->cancel_asked) {
    child->cancel_asked = true;
    if (!child->terminal) child->cause = *cause;
  } else if (grace >= child->cancel_grace_ms) {
    return;
  }
  child->cancel_grace_ms = grace;
  climb_from_ground(child, grace);
  start_cancel(child);
}

void copse_child_cancel(copse_child *child, copse_origin origin, const char *message,
                        int64_t grace_ms) {
  copse__cause *cause = copse__cause_new(origin, &child->rt->self, message);
  cancel(child, &cause->cause, grace_ms);
  copse__cause_unref(cause);
}

static void on_scope_cancelled(copse_member *member) {
  copse_child *child = member->arg;
  const copse_cause *cause = copse_scope_cause(member->scope);
  cancel(child, cause, copse__scope_grace_left(member->scope));
}

static void on_scope_finish(copse_member *member, void *arg) {
  (void)member;
  copse_child_finish(arg);
}

static void on_launch_failed(copse_job *job) { conclude(copse__of(job, copse_child, job)); }

static bool is_name(const char *name) {
  size_t size = name ? strlen(name) : 0;
  if (size < 1 || size > COPSE_NAME_MAX) return false;
  for (size_t i = 0; i < size; i++)
    if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f) return false;
  copse_buf buf;
  copse_buf_init(&buf, COPSE_NAME_MAX + 8, NULL);
  copse_pack_str(&buf, name, size);
  bool ok = copse_buf_status(&buf) == COPSE_OK &&
            copse_value_check(copse_buf_bytes(&buf), NULL, NULL) == COPSE_OK;
  copse_buf_deinit(&buf);
  return ok;
}

static bool is_valid(const copse_spawn_options *options) {
  if (!is_name(options->name) || !options->argv || !options->argv[0]) return false;
  if (options->link && strcmp(options->link, "fd") != 0 && strcmp(options->link, "stdio") != 0 &&
      strcmp(options->link, "unix") != 0)
    return false;
  return !options->config.size || (copse_value_check(options->config, NULL, NULL) == COPSE_OK &&
                                   copse_value_type(options->config) == COPSE_MAP);
}

static void set_rungs(copse_child *child, const copse_rungs *wanted) {
  const copse_rungs *ours = &child->rt->rungs;
  const copse__process *process = child->rt->process;
  child->rungs.grace_ms = wanted->grace_ms ? wanted->grace_ms : ours->grace_ms;
  child->rungs.term_ms = wanted->term_ms ? wanted->term_ms : ours->term_ms;
  child->rungs.boot_ms = wanted->boot_ms ? wanted->boot_ms : ours->boot_ms;
  uint32_t most = (uint32_t)((uint64_t)process->grace_ms * 3 / 4);
  if (process->is_child && child->rungs.grace_ms > most) child->rungs.grace_ms = most;
}

/* What can fail without a trace, before there is a process. */
static copse_status make(copse *rt, const copse_spawn_options *options, copse_child **out) {
  copse_ref ref;
  memset(&ref, 0, sizeof ref);
  snprintf(ref.name, sizeof ref.name, "%s", options->name);
  if (!copse__random(ref.id, sizeof ref.id)) return COPSE_ESYSTEM;
  copse_child *child = calloc(1, sizeof *child);
  if (!child) return COPSE_ENOMEM;
  child->rt = rt;
  child->link_fd = -1;
  copse__list_init(&child->all);
  copse_buf_init(&child->value, ARGS_MAX, NULL);
  set_rungs(child, &options->rungs);
  copse__ladder_init(rt, &child->ladder, child->rungs.term_ms, send_signal);
  child->peer = copse__peer_new(rt, &ref);
  child->command = strdup(options->argv[0]);
  if (!child->peer || !child->command || pack_args(child, options->config) != COPSE_OK) {
    release(&child->grave);
    return COPSE_ENOMEM;
  }
  child->peer->child = child;
  child->peer->grace_ms = child->rungs.grace_ms;
  copse__peer_hold(child->peer);
  *out = child;
  return COPSE_OK;
}

copse_status copse_spawn(copse *rt, copse_scope *scope, const copse_spawn_options *given,
                         const copse_spawn_cbs *cbs, void *arg, copse_child **out) {
  static const copse_member_cbs member_cbs = {NULL, on_scope_finish};
  copse_spawn_options options;
  copse_child *child;
  memset(&options, 0, sizeof options);
  memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
  if (!is_valid(&options)) return COPSE_EINVAL;
  if (copse_scope_is_cancelled(scope)) return COPSE_ECANCELLED;
  copse_status status = make(rt, &options, &child);
  if (status != COPSE_OK) return status;
  if (cbs) child->cbs = *cbs;
  child->arg = arg;
  if (!copse__member_join(scope, &child->member, &member_cbs, on_scope_cancelled, child)) {
    release(&child->grave);
    return COPSE_EINVAL;
  }
  copse__list_push(&rt->process->children, &child->all);

  status = copse__child_launch(child, &options, &hooks, on_dead);
  if (status != COPSE_OK && !child->error)
    child->error = copse_status_error(status, "the start of a process");
  if (child->proc.pid) {
    if (status == COPSE_OK)
      copse__timer_start(rt, &child->boot, copse__after(rt, child->rungs.boot_ms),
                         on_boot_deadline);
    else copse__ladder_climb(&child->ladder, COPSE__RUNG_KILLED, 0);
  } else {
    child->spawn_failed = true;
    child->job.cb = on_launch_failed;
    copse_post(rt, &child->job);
  }
  if (out) *out = child;
  return COPSE_OK;
}

copse_peer *copse_child_peer(copse_child *child) { return child->peer; }
const copse_ref *copse_child_ref(const copse_child *child) { return &child->peer->ref; }
copse *copse_child_runtime(const copse_child *child) { return child->rt; }

pid_t copse_child_pid(const copse_child *child) { return child->proc.reaped ? 0 : child->proc.pid; }

void copse_child_kill(copse_child *child, int signal) {
  if (child->proc.pid) copse__proc_kill(&child->proc, signal);
}
