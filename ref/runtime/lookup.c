/* SPDX-License-Identifier: MIT
 *
 * lookup.c: asking the registrar: register, find, watch; and reaching whom it names.
 *
 * All of it is one pattern: find the way to the registrar, open a context there, pass on what
 * comes. The way is none at all in the registrar's own process, the parent's link where the
 * parent is the registrar, or else a link that is dialled and shared. The context is held by a
 * member of the caller's scope: a registration and a watch are services, which end when nothing
 * else is left; a question keeps the scope open until it is answered.
 */
#include "runtime/registry.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum request_kind { REGISTER, FIND, WAIT, WATCH } request_kind;

typedef struct request {
  copse *rt;
  request_kind kind;
  copse_member member;
  copse__list all;    /* in process->requests */
  copse_context *ctx; /* on the registrar's */
  copse_job job;
  size_t registrar; /* the one being tried */
  bool told;        /* REGISTER: done was called */
  bool finished, over, short_of_memory;
  copse__entry entry;     /* in our own registry */
  copse__watcher watcher; /* of it */
  char name[COPSE_NAME_MAX + 1];
  void (*registered)(copse_error *error, void *arg);
  void (*found)(const copse_ref *refs, size_t count, copse_error *error, void *arg);
  void (*event)(char op, const char *name, const copse_ref *ref, copse_error *error, void *arg);
  void *arg;
  copse__grave grave;
} request;

static void reach_registrar(request *r);

static void release(copse__grave *grave) { free(copse__of(grave, request, grave)); }

/* The request is over; the user hears of an error (borrowed), if he was not told before. */
static void conclude(request *r, copse_error *error) {
  if (r->over) return;
  r->over = true;
  copse_unpost(r->rt, &r->job);
  copse__registry_unwatch(&r->watcher);
  if (r->rt->process->registry) copse__registry_remove(r->rt->process->registry, &r->entry);
  copse__list_remove(&r->all);
  copse_error *rest = NULL;
  switch (r->kind) {
  case REGISTER:
    if (!r->told) r->registered(error, r->arg);
    else if (error)
      rest = copse_error_ref(error); /* the name is gone, though nobody here wanted that */
    break;
  case FIND:
  case WAIT:
    if (error) r->found(NULL, 0, error, r->arg);
    break;
  case WATCH:
    if (error) r->event('x', NULL, NULL, error, r->arg);
    break;
  }
  copse_member_leave(&r->member, rest);
  copse__bury(r->rt, &r->grave, release);
}

static void conclude_code(request *r, copse_code code, const char *message) {
  copse_error *error = copse_error_new(code, "%s", message);
  conclude(r, error);
  copse_error_unref(error);
}

/* --- answers of a remote registrar ------------------------------------------------------------ */

/* The references of an array (else none), on the heap. False: memory is short. */
static bool read_refs(copse_bytes list, copse_ref **out, size_t *count) {
  copse_reader reader;
  copse_token token;
  *count = 0;
  *out = NULL;
  copse_reader_init(&reader, list);
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY || !token.count)
    return true;
  *out = calloc(token.count, sizeof **out); /* each is some bytes of a message, which has a limit */
  while (*out && *count < token.count && copse_read_ref(&reader, &(*out)[*count]) == COPSE_OK)
    ++*count;
  return *out != NULL;
}

/* {name, ref} of a registrar: what is not that is no entry. */
static void tell_entry(request *r, char op, copse_bytes entry) {
  copse_bytes value, text;
  char name[COPSE_NAME_MAX + 1];
  copse_ref ref;
  if (copse_map_get(entry, "name", &value) != COPSE_OK ||
      copse_value_str(value, &text) != COPSE_OK || text.size > COPSE_NAME_MAX ||
      copse_map_get(entry, "ref", &value) != COPSE_OK || copse_value_ref(value, &ref) != COPSE_OK)
    return;
  memcpy(name, text.data, text.size);
  name[text.size] = 0;
  r->event(op, name, &ref, NULL, r->arg);
}

/* The list is copied first: user code that is told of an entry may pump, which ends the view. */
static void tell_snapshot(request *r, copse_bytes list) {
  copse_buf copy;
  copse_reader reader;
  copse_token token;
  copse_bytes entry;
  copse_buf_init(&copy, list.size, NULL);
  copse_buf_append(&copy, list.data, list.size);
  if (copse_buf_status(&copy) != COPSE_OK) {
    /* Without its beginning a watch is none: the rest is said when the context has ended. */
    r->short_of_memory = true;
    copse_cancel(r->ctx, COPSE_ORIGIN_ERROR, NULL, -1);
    return;
  }
  copse_reader_init(&reader, copse_buf_bytes(&copy));
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY) token.count = 0;
  for (uint32_t i = 0; i < token.count && copse_read_value(&reader, &entry) == COPSE_OK; i++)
    tell_entry(r, 's', entry);
  r->event('.', NULL, NULL, NULL, r->arg);
  copse_buf_deinit(&copy);
}

static void on_started(copse_context *ctx, copse_bytes value, void *arg) {
  request *r = arg;
  (void)ctx;
  if (r->kind == REGISTER && !r->told) {
    r->told = true;
    r->registered(NULL, r->arg);
  } else if (r->kind == WATCH) {
    tell_snapshot(r, value);
  }
}

static bool on_item(copse_context *ctx, copse_bytes item, void *arg) {
  request *r = arg;
  copse_bytes value, op;
  (void)ctx;
  if (copse_map_get(item, "op", &value) != COPSE_OK || copse_value_str(value, &op) != COPSE_OK)
    return true;
  if (op.size == 3 && memcmp(op.data, "add", 3) == 0) tell_entry(r, '+', item);
  else if (op.size == 6 && memcmp(op.data, "remove", 6) == 0) tell_entry(r, '-', item);
  return true;
}

static void answer_found(request *r, copse_bytes value) {
  copse_ref *refs = NULL, one;
  if (r->kind == WAIT) {
    if (copse_value_ref(value, &one) == COPSE_OK) r->found(&one, 1, NULL, r->arg);
    else conclude_code(r, COPSE_CODE_CLOSING, "the registrar is closing");
    return;
  }
  size_t count;
  if (read_refs(value, &refs, &count)) r->found(refs, count, NULL, r->arg);
  else conclude(r, copse__error_no_memory());
  free(refs);
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  request *r = arg;
  (void)ctx;
  r->ctx = NULL;
  if (outcome->kind == COPSE_FAILED) {
    conclude(r, outcome->error);
  } else if (r->short_of_memory) {
    conclude(r, copse__error_no_memory());
  } else if (outcome->kind == COPSE_WAS_CANCELLED) {
    if (r->kind == REGISTER && r->told) conclude(r, NULL);
    else conclude_code(r, COPSE_CODE_CANCELLED, "cancelled");
  } else {
    if (r->kind == FIND || r->kind == WAIT) answer_found(r, outcome->value);
    else if (!r->finished && r->kind == WATCH)
      conclude_code(r, COPSE_CODE_CLOSING, "the registrar is closing");
    conclude(r, NULL);
  }
  return true;
}

static copse_status open_request(request *r, copse_peer *peer) {
  static const char *const targets[] = {[REGISTER] = "copse.register",
                                        [FIND] = "copse.find",
                                        [WAIT] = "copse.wait",
                                        [WATCH] = "copse.watch"};
  copse_open_options options = COPSE_OPEN_OPTIONS;
  copse_buf args;
  bool named = r->kind != WATCH || r->name[0];
  copse_buf_init(&args, 8192, NULL);
  copse_pack_map(&args, (size_t)named + (size_t)(r->kind == REGISTER));
  if (named) {
    copse_pack_cstr(&args, "name");
    copse_pack_cstr(&args, r->name);
  }
  if (r->kind == REGISTER) {
    copse_pack_cstr(&args, "ref");
    copse_pack_ref(&args, &r->rt->self, true);
  }
  options.target = targets[r->kind];
  options.args = copse_buf_bytes(&args);
  options.send = r->kind == REGISTER || r->kind == WATCH || r->kind == WAIT;
  if (r->kind == WATCH) options.window = (copse_credit)COPSE_WINDOW_DEFAULT;
  options.cbs.started = on_started;
  options.cbs.item = on_item;
  options.cbs.done = on_done;
  options.data = r;
  copse_status status = copse_buf_status(&args);
  if (status == COPSE_OK) status = copse__open(peer, NULL, &options, 0, &r->ctx);
  copse_buf_deinit(&args);
  if (status == COPSE_OK && r->finished) copse_end(r->ctx);
  return status;
}

/* --- the way there ---------------------------------------------------------------------------- */

static void on_connected(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  request *r = arg;
  (void)rt;
  if (r->over) return;
  if (copse_scope_is_cancelled(r->member.scope)) {
    conclude_code(r, COPSE_CODE_CANCELLED, "cancelled");
  } else if (!error) {
    copse_status status = open_request(r, peer);
    if (status == COPSE_OK) return;
    error = copse_status_error(status, "the registrar");
    conclude(r, error);
    copse_error_unref(error);
  } else if (++r->registrar < r->rt->process->registrar_count) {
    reach_registrar(r);
  } else {
    conclude(r, error);
  }
}

static bool parent_listens_at(const copse *rt, const char *address) {
  if (!rt->parent || !copse_peer_alive(rt->parent)) return false;
  for (size_t i = 0; i < rt->parent->ref.address_count; i++)
    if (strcmp(rt->parent->ref.addresses[i], address) == 0) return true;
  return false;
}

static void reach_registrar(request *r) {
  const copse__process *process = r->rt->process;
  copse_error *error;
  if (r->registrar >= process->registrar_count) {
    conclude_code(r, COPSE_CODE_UNREACHABLE, "this tree has no registrar that can be reached");
    return;
  }
  const char *address = process->registrars[r->registrar];
  if (parent_listens_at(r->rt, address)) {
    on_connected(r->rt, r->rt->parent, NULL, r);
    return;
  }
  copse_status status =
      copse_connect(r->rt, r->member.scope, address, NULL, (copse_bytes){NULL, 0}, on_connected, r);
  if (status == COPSE_OK) return;
  error = copse_status_error(status, address);
  on_connected(r->rt, NULL, error, r);
  copse_error_unref(error);
}

/* --- answers of our own registry -------------------------------------------------------------- */

static void on_local_change(copse__watcher *watcher, const copse__entry *entry, bool added) {
  request *r = copse__of(watcher, request, watcher);
  if (r->kind == WATCH) {
    r->event(added ? '+' : '-', entry->name, &entry->ref, NULL, r->arg);
  } else if (added) {
    copse__registry_unwatch(watcher);
    copse_post(r->rt,
               &r->job); /* asks again: the answer is there now, unless it has gone already */
  }
}

static void find_here(request *r) {
  copse__registry *registry = r->rt->process->registry;
  const copse__entry *entry = NULL;
  size_t count = 0, room = 0;
  while ((entry = copse__registry_next(registry, r->name, entry))) room++;
  if (!room && r->kind == WAIT) {
    memcpy(r->watcher.name, r->name, sizeof r->name);
    copse__registry_watch(registry, &r->watcher);
    return;
  }
  if (r->kind == WAIT) room = 1;
  copse_ref *refs = calloc(room ? room : 1, sizeof *refs);
  if (!refs) {
    conclude(r, copse__error_no_memory());
    return;
  }
  while (count < room && (entry = copse__registry_next(registry, r->name, entry)))
    refs[count++] = entry->ref;
  r->found(refs, count, NULL, r->arg);
  free(refs);
  conclude(r, NULL);
}

static void answer_here(request *r) {
  copse__registry *registry = r->rt->process->registry;
  const copse__entry *entry = NULL;
  if (r->finished) {
    conclude(r, NULL);
    return;
  }
  switch (r->kind) {
  case REGISTER:
    memcpy(r->entry.name, r->name, sizeof r->name);
    r->entry.ref = r->rt->self;
    copse__registry_add(registry, &r->entry);
    r->told = true;
    r->registered(NULL, r->arg);
    break;
  case FIND:
  case WAIT: find_here(r); break;
  case WATCH:
    memcpy(r->watcher.name, r->name, sizeof r->name);
    while ((entry = copse__registry_next(registry, r->name, entry)))
      r->event('s', entry->name, &entry->ref, NULL, r->arg);
    r->event('.', NULL, NULL, NULL, r->arg);
    copse__registry_watch(registry, &r->watcher);
    break;
  }
}

static void begin(copse_job *job) {
  request *r = copse__of(job, request, job);
  if (copse_scope_is_cancelled(r->member.scope))
    conclude_code(r, COPSE_CODE_CANCELLED, "cancelled");
  else if (r->rt->process->registry) answer_here(r);
  else reach_registrar(r);
}

/* --- requests --------------------------------------------------------------------------------- */

/* On the wire at once; what has no context yet is told in the turn. */
static void on_cancel_now(copse_member *member) {
  request *r = member->arg;
  if (r->ctx)
    copse__context_cancel(r->ctx, copse_scope_cause(member->scope),
                          copse__scope_grace_left(member->scope));
}

static void on_cancel(copse_member *member, void *arg) {
  request *r = arg;
  (void)member;
  if (r->ctx) return; /* its terminal comes */
  if (r->kind == REGISTER && r->told) conclude(r, NULL);
  else conclude_code(r, COPSE_CODE_CANCELLED, "cancelled");
}

static void finish(request *r) {
  if (r->finished) return;
  r->finished = true;
  if (r->ctx) copse_end(r->ctx);
  else if (r->rt->process->registry && !r->job.next) conclude(r, NULL);
}

static void on_finish(copse_member *member, void *arg) {
  (void)member;
  finish(arg);
}

static copse_status ask(copse *rt, copse_scope *scope, request_kind kind, const char *name,
                        request **out) {
  copse_member_cbs cbs = {on_cancel, kind == REGISTER || kind == WATCH ? on_finish : NULL};
  size_t size = name ? strlen(name) : 0;
  /* What could not be told to others would end every watch over all names. */
  if (size > COPSE_NAME_MAX || (size ? !copse__utf8((const uint8_t *)name, size) : kind != WATCH))
    return COPSE_EINVAL;
  if (copse_scope_is_cancelled(scope)) return COPSE_ECANCELLED;
  request *r = calloc(1, sizeof *r);
  if (!r) return COPSE_ENOMEM;
  r->rt = rt;
  r->kind = kind;
  r->job.cb = begin;
  r->watcher.changed = on_local_change;
  if (size) memcpy(r->name, name, size);
  copse__list_init(&r->all);
  if (!copse__member_join(scope, &r->member, &cbs, on_cancel_now, r)) {
    free(r);
    return COPSE_EINVAL;
  }
  copse__list_push(&rt->process->requests, &r->all);
  copse_post(rt, &r->job);
  *out = r;
  return COPSE_OK;
}

copse_status copse_register(copse *rt, copse_scope *scope, const char *name,
                            void (*done)(copse_error *error, void *arg), void *arg) {
  request *r;
  copse_status status = ask(rt, scope, REGISTER, name, &r);
  if (status != COPSE_OK) return status;
  r->registered = done;
  r->arg = arg;
  return COPSE_OK;
}

copse_status copse_find(copse *rt, copse_scope *scope, const char *name, bool wait,
                        void (*done)(const copse_ref *refs, size_t count, copse_error *error,
                                     void *arg),
                        void *arg) {
  request *r;
  copse_status status = ask(rt, scope, wait ? WAIT : FIND, name, &r);
  if (status != COPSE_OK) return status;
  r->found = done;
  r->arg = arg;
  return COPSE_OK;
}

copse_status copse_watch(copse *rt, copse_scope *scope, const char *name,
                         void (*event)(char op, const char *found, const copse_ref *ref,
                                       copse_error *error, void *arg),
                         void *arg) {
  request *r;
  copse_status status = ask(rt, scope, WATCH, name, &r);
  if (status != COPSE_OK) return status;
  r->event = event;
  r->arg = arg;
  return COPSE_OK;
}

void copse__registry_leave(copse *rt) {
  copse__list *head = &rt->process->requests, *next;
  for (copse__list *at = head->next; at != head; at = next) {
    request *r = copse__of(at, request, all);
    next = at->next;
    if (r->kind == REGISTER) finish(r);
  }
}

void copse__requests_drop(copse *rt) {
  for (copse__list *at; (at = copse__list_pop(&rt->process->requests));) {
    request *r = copse__of(at, request, all);
    copse_unpost(rt, &r->job);
    copse__registry_unwatch(&r->watcher);
    copse_member_leave(&r->member, NULL);
    free(r);
  }
}

/* --- reaching an actor ------------------------------------------------------------------------ */

typedef struct reaching {
  copse *rt;
  copse_peer *peer; /* a reference */
  copse_connect_cb done;
  void *arg;
  copse_member member;
  copse_job job;
} reaching;

static void on_reached(copse_job *job) {
  reaching *r = copse__of(job, reaching, job);
  r->done(r->rt, r->peer, NULL, r->arg);
  copse_member_leave(&r->member, NULL);
  copse__peer_unref(r->peer);
  free(r);
}

copse_status copse_reach(copse *rt, copse_scope *scope, const copse_ref *ref, copse_connect_cb done,
                         void *arg) {
  copse_peer *peer = copse__peer_find(rt, ref->id);
  /* A dialled link is kept by those who use it, so it is asked for like a new one, and shared. */
  if (!peer || (!peer->parent && !peer->child))
    return copse_connect(rt, scope, NULL, ref, (copse_bytes){NULL, 0}, done, arg);
  if (copse_scope_is_cancelled(scope)) return COPSE_ECANCELLED;
  reaching *r = calloc(1, sizeof *r);
  if (!r) return COPSE_ENOMEM;
  r->rt = rt;
  r->done = done;
  r->arg = arg;
  r->job.cb = on_reached;
  if (!copse__member_join(scope, &r->member, NULL, NULL, r)) {
    free(r);
    return COPSE_EINVAL;
  }
  r->peer = copse__peer_ref(peer);
  copse_post(rt, &r->job);
  return COPSE_OK;
}
