/* SPDX-License-Identifier: MIT
 *
 * Scopes: the tree that everything lives in.
 *
 * One rule makes a tree of processes end as a whole: a scope ends when it was sealed (its body is
 * over) and all its members have left. A member is anything that takes time: the body of a task, a
 * context opened on another actor, a child process, another scope. Two movements go through the
 * tree. Errors go up: a member leaves with one, the scope keeps it and cancels the rest.
 * Cancellation goes down: at once, through all levels, into every context that is open on another
 * process; a shield holds it up for a bounded time.
 *
 * What cancellation marks, it marks at once (so that a query inside a hot loop sees it); whom it
 * concerns is told in the turn. Memory is never needed to cancel: the cause is shared by all that
 * it reached, and where even that cannot be had, a constant stands for it.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- causes ----------------------------------------------------------------------------------- */

/* For when memory is short: the origin is what matters. */
static copse__cause plain_causes[COPSE_ORIGIN_COUNT] = {
#define X(name, text) {.cause = {.origin = COPSE_ORIGIN_##name}},
    COPSE_ORIGINS(X)
#undef X
};

copse__cause *copse__cause_new(copse_origin origin, const copse_ref *by, const char *message) {
  copse__cause *cause = calloc(1, sizeof *cause);
  if ((unsigned)origin >= COPSE_ORIGIN_COUNT) origin = COPSE_ORIGIN_REQUESTED;
  if (!cause) return &plain_causes[origin];
  cause->refs = 1;
  cause->cause.origin = origin;
  if (by) {
    memcpy(cause->cause.by.id, by->id, sizeof by->id);
    memcpy(cause->cause.by.name, by->name, sizeof by->name);
  }
  if (message) {
    const size_t room = sizeof cause->cause.message;
    const size_t size = copse__utf8_fit((const uint8_t *)message, strnlen(message, room), room - 1);
    memcpy(cause->cause.message, message, size);
    /* Whatever text it came from: on a link it must be UTF-8. */
    if (!copse__utf8((const uint8_t *)message, size))
      for (size_t i = 0; i < size; i++)
        if (cause->cause.message[i] & 0x80) cause->cause.message[i] = '?';
  }
  return cause;
}

copse__cause *copse__cause_ref(copse__cause *cause) {
  if (cause && cause->refs) cause->refs++;
  return cause;
}

void copse__cause_unref(copse__cause *cause) {
  if (cause && cause->refs && --cause->refs == 0) free(cause);
}

/* --- members ---------------------------------------------------------------------------------- */

static void check(copse_scope *scope);
static void cancel(copse_scope *scope, copse__cause *cause, uint64_t grace_end);

static void due(copse_member *member, unsigned flag) {
  member->flags |= flag;
  if (copse__list_empty(&member->due))
    copse__list_push(&member->scope->rt->members_due, &member->due);
}

/* Again where the grace got shorter: contexts and scopes pass that on. User code was told. */
static void tell_cancel(copse_member *member) {
  bool first = !(member->flags & COPSE__MEMBER_CANCELLED);
  member->flags |= COPSE__MEMBER_CANCELLED;
  if (first && member->cbs.cancel) due(member, COPSE__MEMBER_CANCEL_DUE);
  if (member->cancel_now) member->cancel_now(member);
}

static void tell_finish(copse_member *member) {
  if (member->flags & (COPSE__MEMBER_FINISHED | COPSE__MEMBER_CANCELLED)) return;
  member->flags |= COPSE__MEMBER_FINISHED;
  due(member, COPSE__MEMBER_FINISH_DUE);
}

bool copse__member_join(copse_scope *scope, copse_member *member, const copse_member_cbs *cbs,
                        void (*cancel_now)(copse_member *member), void *arg) {
  if (!scope || scope->ended) return false;
  member->scope = scope;
  member->cbs = cbs ? *cbs : (copse_member_cbs){NULL, NULL};
  member->cancel_now = cancel_now;
  member->arg = arg;
  member->flags &= COPSE__MEMBER_HEAP;
  if (member->cbs.finish) member->flags |= COPSE__MEMBER_SERVICE;
  copse__list_init(&member->due);
  copse__list_push(&scope->members, &member->link);
  scope->count++;
  if (member->cbs.finish) scope->services++;
  if (scope->cancelled) tell_cancel(member);
  else check(scope); /* a service that came late is told to finish with the others */
  return true;
}

copse_member *copse_scope_join(copse_scope *scope, const copse_member_cbs *cbs, void *arg) {
  copse_member *member = calloc(1, sizeof *member);
  if (!member) return NULL;
  member->flags = COPSE__MEMBER_HEAP;
  if (!copse__member_join(scope, member, cbs, NULL, arg)) {
    free(member);
    return NULL;
  }
  return member;
}

copse_scope *copse_member_scope(copse_member *member) { return member->scope; }

static void release_member(copse__grave *grave) { free(copse__of(grave, copse_member, grave)); }

void copse_member_leave(copse_member *member, copse_error *error) {
  copse_scope *scope = member->scope;
  if (!scope) {
    copse_error_unref(error);
    return;
  }
  copse__list_remove(&member->link);
  copse__list_remove(&member->due);
  scope->count--;
  if (member->flags & COPSE__MEMBER_SERVICE) scope->services--;
  member->scope = NULL;
  if (member->flags & COPSE__MEMBER_HEAP) copse__bury(scope->rt, &member->grave, release_member);
  if (error) copse_scope_fail(scope, error);
  check(scope);
}

void copse__members_run(copse *rt, bool *any) {
  for (copse__list *link; (link = copse__list_pop(&rt->members_due));) {
    copse_member *member = copse__of(link, copse_member, due);
    unsigned flags = member->flags;
    *any = true;
    member->flags &= ~(unsigned)(COPSE__MEMBER_CANCEL_DUE | COPSE__MEMBER_FINISH_DUE);
    if (flags & COPSE__MEMBER_CANCEL_DUE) member->cbs.cancel(member, member->arg);
    else if (flags & COPSE__MEMBER_FINISH_DUE) member->cbs.finish(member, member->arg);
  }
}

/* --- cancellation ----------------------------------------------------------------------------- */

static void on_shield(copse__timer *timer) {
  copse_scope *scope = copse__of(timer, copse_scope, shield_timer);
  cancel(scope, scope->parent->cause, scope->parent->grace_end);
}

/* The parent was cancelled, or has got less patience. */
static void cancel_from_parent(copse_member *member) {
  copse_scope *scope = member->arg, *parent = member->scope;
  if (scope->ended) return; /* it leaves at the end of this turn: no timer may be left in it */
  if (scope->shield_ms >= 0 && !scope->cancelled) {
    uint64_t end = copse__after(scope->rt, scope->shield_ms);
    if (scope->shield_timer.active && scope->shield_timer.due < end) end = scope->shield_timer.due;
    if (parent->grace_end < end) end = parent->grace_end;
    copse__timer_start(scope->rt, &scope->shield_timer, end, on_shield);
  } else {
    cancel(scope, parent->cause, parent->grace_end);
  }
}

static void cancel(copse_scope *scope, copse__cause *cause, uint64_t grace_end) {
  if (scope->ended) return;
  if (!scope->cancelled) {
    scope->cancelled = true;
    scope->cause = copse__cause_ref(cause);
    scope->grace_end = grace_end;
    copse__timer_stop(scope->rt, &scope->deadline_timer);
    copse__timer_stop(scope->rt, &scope->shield_timer);
  } else if (grace_end < scope->grace_end) {
    scope->grace_end = grace_end;
  } else {
    return;
  }
  /* Nothing below takes a member out at once: leaving is user code's, or the turn's. */
  for (copse__list *link = scope->members.next; link != &scope->members; link = link->next)
    tell_cancel(copse__of(link, copse_member, link));
}

void copse__scope_cancel_shared(copse_scope *scope, copse__cause *cause, uint64_t grace_end) {
  cancel(scope, cause, grace_end);
}

static void cancel_new(copse_scope *scope, copse_origin origin, const char *message,
                       int64_t grace_ms) {
  copse *rt = scope->rt;
  uint64_t end = copse__after(rt, grace_ms < 0 ? (int64_t)rt->rungs.grace_ms : grace_ms);
  if (scope->cancelled) {
    cancel(scope, scope->cause, end);
    return;
  }
  copse__cause *cause = copse__cause_new(origin, &rt->self, message);
  cancel(scope, cause, end);
  copse__cause_unref(cause);
}

void copse_scope_cancel(copse_scope *scope, copse_origin origin, const char *message,
                        int64_t grace_ms) {
  /* A repeat without a grace must neither stretch nor shorten what was said. */
  if (scope->cancelled && grace_ms < 0) return;
  cancel_new(scope, origin, message, grace_ms);
}

void copse__scope_cancel_cause(copse_scope *scope, const copse_cause *cause, uint64_t grace_end) {
  if (scope->cancelled) {
    cancel(scope, scope->cause, grace_end);
    return;
  }
  copse__cause *own = copse__cause_new(cause->origin, &cause->by, cause->message);
  cancel(scope, own, grace_end);
  copse__cause_unref(own);
}

bool copse_scope_is_cancelled(const copse_scope *scope) { return scope->cancelled; }

const copse_cause *copse_scope_cause(const copse_scope *scope) {
  return scope->cancelled ? &scope->cause->cause : NULL;
}

int64_t copse__scope_grace_left(const copse_scope *scope) {
  if (!scope->cancelled) return (int64_t)scope->rt->rungs.grace_ms;
  int64_t left = copse__left(scope->rt, scope->grace_end);
  return left < 0 ? (int64_t)scope->rt->rungs.grace_ms : left;
}

/* --- deadlines -------------------------------------------------------------------------------- */

static void expire(copse_scope *scope) {
  if (scope->cancelled || scope->ended) return;
  if (!scope->given) scope->expired = true;
  cancel_new(scope, COPSE_ORIGIN_DEADLINE, scope->name ? scope->name : NULL, -1);
}

static void on_deadline(copse__timer *timer) {
  expire(copse__of(timer, copse_scope, deadline_timer));
}

void copse__scope_set_deadline(copse_scope *scope, int64_t ms) {
  scope->allowed_ms = ms;
  scope->deadline = copse__after(scope->rt, ms);
  if (ms == 0) expire(scope);
  else if (!scope->cancelled)
    copse__timer_start(scope->rt, &scope->deadline_timer, scope->deadline, on_deadline);
}

static copse_scope *tightest(const copse_scope *scope) {
  const copse_scope *found = NULL;
  for (; scope; scope = scope->parent)
    if (scope->deadline != COPSE__NEVER && (!found || scope->deadline < found->deadline))
      found = scope;
  return (copse_scope *)(uintptr_t)found;
}

int64_t copse_scope_remaining(const copse_scope *scope) {
  const copse_scope *found = tightest(scope);
  return found ? copse__left(scope->rt, found->deadline) : -1;
}

bool copse__scope_expire_nearest(copse_scope *scope) {
  copse_scope *found = tightest(scope);
  if (found) expire(found);
  return found != NULL;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* The first always finds a place; that memory was short for others is said at the end. */
static void record(copse_scope *scope, copse_error *error) {
  for (size_t i = 0; i < scope->error_count; i++) {
    if (copse__error_same(scope->errors[i], error)) {
      copse_error_unref(error);
      return;
    }
  }
  if (!scope->error_count) {
    scope->errors = &scope->slot;
    scope->error_capacity = 1;
  } else if (scope->error_count == scope->error_capacity) {
    size_t capacity = scope->error_capacity * 4;
    copse_error **bigger = calloc(capacity, sizeof *bigger);
    if (!bigger) {
      scope->errors_lost = true;
      copse_error_unref(error);
      return;
    }
    memcpy(bigger, scope->errors, scope->error_count * sizeof *bigger);
    if (scope->errors != &scope->slot) free(scope->errors);
    scope->errors = bigger;
    scope->error_capacity = capacity;
  }
  scope->errors[scope->error_count++] = error;
}

void copse_scope_fail(copse_scope *scope, copse_error *error) {
  if (!error) return;
  if (!scope->cancelled) {
    scope->failed = !scope->ended;
    cancel_new(scope, COPSE_ORIGIN_ERROR, copse_error_get(error)->message, -1);
  }
  record(scope, error);
}

/* --- beginning -------------------------------------------------------------------------------- */

copse_scope *copse__scope_new(copse *rt, copse_scope *parent, const copse_scope_options *options,
                              copse_scope_done_cb done, void *arg, const copse_member_cbs *cbs) {
  static const copse_scope_options none = COPSE_SCOPE_OPTIONS;
  if (!options) options = &none;
  copse_scope *scope = calloc(1, sizeof *scope);
  if (!scope) return NULL;
  scope->rt = rt;
  scope->parent = parent;
  scope->grace_end = scope->deadline = COPSE__NEVER;
  scope->shield_ms = options->shield_ms < 0 ? -1 : options->shield_ms;
  scope->deadline_timer.pump = scope->shield_timer.pump = true;
  scope->done = done;
  scope->arg = arg;
  copse__list_init(&scope->members);
  copse__list_init(&scope->ended_link);
  copse__list_init(&scope->member.link);
  copse__list_init(&scope->member.due);
  if (options->name && !(scope->name = strdup(options->name))) {
    free(scope);
    return NULL;
  }
  if (parent && !copse__member_join(parent, &scope->member, cbs, cancel_from_parent, scope)) {
    free(scope->name);
    free(scope);
    return NULL;
  }
  if (options->deadline_ms >= 0) copse__scope_set_deadline(scope, options->deadline_ms);
  return scope;
}

copse_scope *copse_scope_new(copse *rt, copse_scope *parent, const copse_scope_options *options,
                             copse_scope_done_cb done, void *arg) {
  return parent ? copse__scope_new(rt, parent, options, done, arg, NULL) : NULL;
}

copse_scope *copse_scope_parent(const copse_scope *scope) { return scope->parent; }

/* --- ending ----------------------------------------------------------------------------------- */

static void check(copse_scope *scope) {
  if (!scope->sealed || scope->ended) return;
  if (!scope->count) {
    scope->ended = true;
    copse__timer_stop(scope->rt, &scope->deadline_timer);
    copse__timer_stop(scope->rt, &scope->shield_timer);
    copse__list_push(&scope->rt->scopes_ended, &scope->ended_link);
  } else if (scope->count == scope->services && !scope->cancelled) {
    for (copse__list *link = scope->members.next; link != &scope->members; link = link->next)
      tell_finish(copse__of(link, copse_member, link));
  }
}

void copse_scope_seal(copse_scope *scope, copse_error *error) {
  scope->sealed = true;
  if (error) copse_scope_fail(scope, error);
  check(scope);
}

/* What came of a scope as a whole: a new reference, or NULL. */
static copse_error *outcome(copse_scope *scope) {
  if (scope->expired) {
    copse_error *error =
        copse_error_new(COPSE_CODE_DEADLINE, "%g s have passed, the time allowed for %s",
                        (double)scope->allowed_ms / 1000, scope->name ? scope->name : "this scope");
    record(scope, error);
  }
  if (!scope->error_count) return NULL;
  if (scope->errors_lost) {
    copse_error *pair[2] = {copse__error_join(scope->errors, scope->error_count),
                            copse__error_no_memory()};
    copse_error *whole = copse__error_join(pair, 2);
    copse_error_unref(pair[0]);
    return whole;
  }
  return copse__error_join(scope->errors, scope->error_count);
}

static void release_scope(copse__grave *grave) {
  copse_scope *scope = copse__of(grave, copse_scope, grave);
  for (size_t i = 0; i < scope->error_count; i++) copse_error_unref(scope->errors[i]);
  if (scope->errors != &scope->slot) free(scope->errors);
  copse__cause_unref(scope->cause);
  free(scope->name);
  free(scope);
}

void copse__scopes_run(copse *rt, bool *any) {
  /* Those that end meanwhile come in the next round: a task that opens one scope after the other
   * must not keep the turn from reading links. */
  copse__list now;
  copse__list_init(&now);
  copse__list_move(&now, &rt->scopes_ended);
  for (copse__list *link; (link = copse__list_pop(&now));) {
    copse_scope *scope = copse__of(link, copse_scope, ended_link);
    copse_error *error = outcome(scope);
    *any = true;
    /* What its own error or deadline did to it is told by the error. */
    bool cancelled = scope->cancelled && !scope->failed && !scope->expired;
    if (scope->done) scope->done(scope, error, cancelled, scope->arg);
    else if (error && scope->parent) copse_scope_fail(scope->parent, copse_error_ref(error));
    copse_error_unref(error);
    copse_member_leave(&scope->member, NULL);
    copse__bury(rt, &scope->grave, release_scope);
  }
}

/* Frees a tree that is not going to end any more, when the runtime itself is freed. Members of
 * others are left alone: they belong to whoever embedded them, and are in no scope afterwards. */
void copse__scope_abandon(copse_scope *scope) {
  while (!copse__list_empty(&scope->members)) {
    copse_member *member = copse__of(scope->members.next, copse_member, link);
    copse__list_remove(&member->link);
    copse__list_remove(&member->due);
    member->scope = NULL;
    if (member->cancel_now == cancel_from_parent) copse__scope_abandon(member->arg);
    else if (member->flags & COPSE__MEMBER_HEAP)
      copse__bury(scope->rt, &member->grave, release_member);
  }
  if (scope->context) copse__context_retire(scope->context); /* its link was lost before */
  copse__list_remove(&scope->ended_link);
  copse__timer_stop(scope->rt, &scope->deadline_timer);
  copse__timer_stop(scope->rt, &scope->shield_timer);
  copse__bury(scope->rt, &scope->grave, release_scope);
}
