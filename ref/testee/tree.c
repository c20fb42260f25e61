/* SPDX-License-Identifier: MIT
 *
 * The handlers that start something: contexts on the suite, a child, a link.
 *
 * All of it lives in the scope of the handler's own context. So cancellation, errors, waiting and
 * the ladder are nowhere in here: what fails and is not taken care of becomes the terminal.
 */
#include "testee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool done_cb(copse_context *ctx, const copse_outcome *outcome, void *arg);

/* The result of a context in an array of results. */
struct place {
  call *c;
  copse_buf value;
};

static struct {
  char **lines;
  size_t count;
} noted;

static call *children; /* those with a child that is not reaped */

/* --- opening ---------------------------------------------------------------------------------- */

/* Opens a target in `scope`; what cannot be opened fails it. */
static bool open_on(copse_peer *peer, copse_scope *scope, copse_bytes target,
                    copse_open_options options) {
  static const uint8_t empty_array = 0x90;
  copse_bytes text = {0};
  copse_value_str(target, &text);
  char *name = strndup((const char *)text.data, text.size);
  options.target = name;
  if (!options.args.size) options.args = (copse_bytes){&empty_array, 1};
  copse_status status = name ? copse_open(peer, scope, &options, NULL) : COPSE_ENOMEM;
  if (status != COPSE_OK && status != COPSE_ECANCELLED)
    copse_scope_fail(scope, copse_status_error(status, name ? name : "a context"));
  free(name);
  return status == COPSE_OK;
}

static bool open_call(copse_peer *peer, copse_scope *scope, copse_bytes what, done_cb *done,
                      void *data) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  copse_bytes target = {0};
  copse_map_get(what, "target", &target);
  copse_map_get(what, "args", &options.args);
  options.cbs.done = done;
  options.data = data;
  return open_on(peer, scope, target, options);
}

/* Hands on a result; everything else is the scope's. */
static bool hand_on(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  if (outcome->kind != COPSE_RETURNED) return false;
  copse_return(((call *)arg)->ctx, outcome->value);
  return true;
}

/* --- relay, nursery, dial --------------------------------------------------------------------- */

static void hand_on_started(copse_context *ctx, copse_bytes value, void *arg) {
  (void)ctx;
  copse_started(((call *)arg)->ctx, value);
}

void relay(call *c) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.args = c->arg[1];
  options.deadline_ms = arg_int(c, 2, -1);
  options.cbs = (copse_context_cbs){.started = hand_on_started, .done = hand_on};
  options.data = c;
  open_on(c->peer, c->scope, c->arg[0], options);
}

static void nursery_return(call *c) {
  copse_buf list;
  copse_buf_init(&list, SIZE_MAX, NULL);
  copse_pack_array(&list, c->place_count);
  for (size_t i = 0; i < c->place_count; i++)
    copse_pack_value(&list, copse_buf_bytes(&c->places[i].value));
  copse_return(c->ctx, copse_buf_bytes(&list));
  copse_buf_deinit(&list);
}

static bool nursery_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  struct place *place = arg;
  (void)ctx;
  if (outcome->kind != COPSE_RETURNED) return false;
  copse_buf_append(&place->value, outcome->value.data, outcome->value.size);
  if (--place->c->places_left == 0) nursery_return(place->c);
  return true;
}

void nursery(call *c) {
  copse_reader reader;
  copse_token token;
  copse_bytes what;
  copse_reader_init(&reader, c->arg[0]);
  copse_read(&reader, &token);
  c->places = calloc(token.count + 1, sizeof *c->places);
  if (!c->places) {
    fail_memory(c);
    return;
  }
  c->place_count = c->places_left = token.count;
  for (size_t i = 0; i < c->place_count; i++) {
    c->places[i].c = c;
    copse_buf_init(&c->places[i].value, SIZE_MAX, NULL);
  }
  for (size_t i = 0; i < c->place_count; i++)
    if (copse_read_value(&reader, &what) != COPSE_OK ||
        !open_call(c->peer, c->scope, what, nursery_done, &c->places[i]))
      break;
  started(c);
  if (!c->place_count) nursery_return(c);
}

static void dialled(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  call *c = arg;
  copse_open_options options = COPSE_OPEN_OPTIONS;
  (void)rt;
  if (error) {
    copse_fail(c->ctx, copse_error_ref(error));
    return;
  }
  options.args = c->arg[2];
  options.cbs.done = hand_on;
  options.data = c;
  open_on(peer, c->scope, c->arg[1], options);
}

/* The library dials addresses of this host only, whoever they come from: that is the policy. */
void dial(call *c) {
  copse_ref ref;
  copse_bytes token = {0};
  copse_value_ref(c->arg[0], &ref);
  copse_value_bin(c->arg[3], &token);
  copse_status status = copse_connect(c->rt, c->scope, NULL, &ref, token, dialled, c);
  if (status != COPSE_OK) copse_fail(c->ctx, copse_status_error(status, ref.name));
}

/* --- drain ------------------------------------------------------------------------------------ */

static bool drain_item(copse_context *ctx, copse_bytes value, void *arg) {
  call *c = arg;
  int64_t number;
  (void)ctx;
  c->count++;
  if (copse_value_int(value, &number) == COPSE_OK) c->sum += (uint64_t)number;
  return true;
}

static bool drain_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  copse_buf map;
  (void)ctx;
  if (outcome->kind != COPSE_RETURNED) return false;
  copse_buf_init(&map, SIZE_MAX, NULL);
  copse_pack_map(&map, 3);
  copse_pack_cstr(&map, "count");
  copse_pack_int(&map, c->count);
  copse_pack_cstr(&map, "sum");
  copse_pack_int(&map, (int64_t)c->sum);
  copse_pack_cstr(&map, "value");
  copse_pack_value(&map, outcome->value);
  if (copse_buf_status(&map) == COPSE_OK) copse_return(c->ctx, copse_buf_bytes(&map));
  else fail_memory(c);
  copse_buf_deinit(&map);
  return true;
}

void drain(call *c) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.args = c->arg[1];
  options.window = arg_window(c, 2);
  options.cbs = (copse_context_cbs){.item = drain_item, .done = drain_done};
  options.data = c;
  open_on(c->peer, c->scope, c->arg[0], options);
}

/* --- register --------------------------------------------------------------------------------- */

static void let_go(call *c) {
  c->ended = true;
  if (c->below) copse_end(c->below);
}

void enter_end(copse_context *ctx, void *arg) {
  (void)ctx;
  let_go(arg);
}

static void actor_finishes(copse_member *member, void *arg) {
  (void)member;
  let_go(arg);
}

static bool entered_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  ((call *)arg)->below = NULL;
  return hand_on(ctx, outcome, arg);
}

/* A service of the actor itself is told when the actor has to finish. */
void enter(call *c) {
  static const copse_member_cbs service = {.finish = actor_finishes};
  copse_open_options options = COPSE_OPEN_OPTIONS;
  copse_buf args;
  c->member = copse_scope_join(copse_root_scope(c->rt), &service, c);
  copse_buf_init(&args, SIZE_MAX, NULL);
  copse_pack_map(&args, 2);
  copse_pack_cstr(&args, "name");
  copse_pack_value(&args, c->arg[0]);
  copse_pack_cstr(&args, "ref");
  copse_pack_ref(&args, copse_self(c->rt), true);
  options.target = "copse.register";
  options.args = copse_buf_bytes(&args);
  options.send = true;
  options.cbs = (copse_context_cbs){.started = hand_on_started, .done = entered_done};
  options.data = c;
  copse_status status =
      c->member ? copse_open(c->peer, c->scope, &options, &c->below) : COPSE_ENOMEM;
  copse_buf_deinit(&args);
  if (status != COPSE_OK) copse_fail(c->ctx, copse_status_error(status, "copse.register"));
  else if (c->ended || !copse_context_sends(c->ctx)) let_go(c);
}

/* --- spawn ------------------------------------------------------------------------------------ */

static bool spawn_call_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  (void)ctx;
  if (outcome->kind != COPSE_RETURNED) return false;
  copse_buf_append(&c->queue, outcome->value.data, outcome->value.size);
  if (c->child) copse_child_finish(c->child);
  return true;
}

static void spawn_ready(copse_child *child, void *arg) {
  call *c = arg;
  copse_buf map;
  copse_buf_init(&map, SIZE_MAX, NULL);
  copse_pack_map(&map, 2);
  copse_pack_cstr(&map, "pid");
  copse_pack_int(&map, copse_child_pid(child));
  copse_pack_cstr(&map, "actor");
  copse_pack_ref(&map, copse_child_ref(child), true);
  copse_started(c->ctx, copse_buf_bytes(&map));
  copse_buf_deinit(&map);
  if (c->arg[4].data) open_call(copse_child_peer(child), c->scope, c->arg[4], spawn_call_done, c);
  else if (c->ended) copse_child_finish(child);
  c->over = true; /* it is ready */
}

void spawn_end(copse_context *ctx, void *arg) {
  call *c = arg;
  (void)ctx;
  c->ended = true;
  if (c->over && c->child && !c->arg[4].data) copse_child_finish(c->child);
}

static bool spawn_done(copse_child *child, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  (void)child;
  tree_forget(c);
  if (outcome->kind != COPSE_RETURNED) return false;
  if (c->over || !c->arg[4].data) copse_return(c->ctx, copse_buf_bytes(&c->queue));
  else copse_fail(c->ctx, copse_error_new(COPSE_CODE_CLOSING, "it ended before it was ready"));
  return true;
}

/* Ends with NULL; to be freed as one. */
static char **read_argv(const call *c) {
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, c->arg[0]);
  copse_read(&reader, &token);
  char **argv = calloc(1, (token.count + 1) * sizeof *argv + c->arg[0].size + token.count);
  char *at = argv ? (char *)(argv + token.count + 1) : NULL;
  for (uint32_t i = 0, count = token.count; argv && i < count; i++) {
    copse_read(&reader, &token);
    argv[i] = memcpy(at, token.bytes.data, token.bytes.size);
    at += token.bytes.size + 1;
  }
  return argv;
}

/* The library takes a zero of time for its own default; this is as little as there can be. */
static uint32_t rung(int64_t ms) {
  return ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

void spawn(call *c) {
  static const copse_spawn_cbs cbs = {.ready = spawn_ready, .done = spawn_done};
  char **argv = c->arg[0].data ? read_argv(c) : NULL, *name = arg_text(c, 1, "sub");
  copse_spawn_options options = {
      .size = sizeof options,
      .name = name,
      .argv = (const char *const *)(argv ? argv : own_command),
      .config = c->arg[3],
      .rungs = {.grace_ms = rung(arg_int(c, 2, 1000)), .boot_ms = rung(arg_int(c, 5, 30000))}};
  copse_status status = COPSE_ENOMEM;
  c->ended = !copse_context_sends(c->ctx);
  if (name && (argv || !c->arg[0].data))
    status = copse_spawn(c->rt, c->scope, &options, &cbs, c, &c->child);
  if (status != COPSE_OK) {
    copse_fail(c->ctx, copse_status_error(status, "a child"));
  } else {
    c->next_child = children;
    children = c;
  }
  free(argv);
  free(name);
}

void children_pack(copse_buf *out) {
  size_t count = 0;
  for (call *c = children; c; c = c->next_child) count += copse_child_pid(c->child) != 0;
  copse_pack_array(out, count);
  for (call *c = children; c; c = c->next_child)
    if (copse_child_pid(c->child)) copse_pack_int(out, copse_child_pid(c->child));
}

/* --- cleanup ---------------------------------------------------------------------------------- */

static void note(const call *c, const char *what) {
  copse_bytes name = {0};
  char *line, **more = realloc(noted.lines, (noted.count + 1) * sizeof *more);
  copse_value_str(c->arg[0], &name);
  if (more) noted.lines = more;
  if (more && asprintf(&line, "%.*s:%s", (int)name.size, (const char *)name.data, what) >= 0)
    noted.lines[noted.count++] = line;
}

void log_pack(copse_buf *out) {
  copse_pack_array(out, noted.count);
  for (size_t i = 0; i < noted.count; i++) copse_pack_cstr(out, noted.lines[i]);
}

void log_free(void) {
  for (size_t i = 0; i < noted.count; i++) free(noted.lines[i]);
  free(noted.lines);
}

static bool cleanup_call_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx, (void)arg;
  return outcome->kind == COPSE_RETURNED;
}

/* The shield is over: step 4 and 5. */
static void cleanup_over(copse_scope *shield, copse_error *error, bool cancelled, void *arg) {
  call *c = arg;
  (void)shield;
  if (error) {
    copse_fail(c->ctx, copse_error_ref(error));
    return;
  }
  note(c, cancelled ? "timeout" : "end");
  if (!c->arg[5].data) {
    copse_cancelled(c->ctx);
    return;
  }
  char *code = arg_text(c, 5, "");
  copse_error_info info = {.code = code ? code : "no_memory", .message = "the clean-up failed"};
  copse_fail(c->ctx, copse_error_make(&info));
  free(code);
}

static void leave_shield(call *c) {
  copse_scope *shield = copse_member_scope(c->member);
  copse_member *member = c->member;
  c->member = NULL;
  copse_scope_seal(shield, NULL);
  copse_member_leave(member, NULL);
}

static void cleanup_gate_open(call *c) {
  if (c->arg[4].data)
    open_call(c->peer, copse_member_scope(c->member), c->arg[4], cleanup_call_done, c);
  leave_shield(c);
}

static void shield_ends(copse_member *member, void *arg) {
  (void)member;
  gate_leave(arg);
  leave_shield(arg);
}

/* Every one of these must fail, and at once. */
static void try_waits(call *c) {
  int64_t waits = arg_int(c, 3, 0), failed = 0;
  char text[40];
  for (int64_t i = 0; i < waits; i++)
    failed += copse_call(c->peer, c->scope, "tck.unexpected", (copse_bytes){0}, NULL, NULL) ==
              COPSE_ECANCELLED;
  snprintf(text, sizeof text, "failed=%lld", (long long)failed);
  if (waits) note(c, text);
}

void cleanup_cancelled(copse_context *ctx, void *arg) {
  static const copse_member_cbs cbs = {.cancel = shield_ends};
  call *c = arg;
  copse_scope_options options = COPSE_SCOPE_OPTIONS;
  (void)ctx;
  note(c, "begin");
  try_waits(c);
  options.shield_ms = arg_int(c, 2, 5000);
  copse_scope *shield = copse_scope_new(c->rt, c->scope, &options, cleanup_over, c);
  c->member = shield ? copse_scope_join(shield, &cbs, c) : NULL;
  if (!c->member) {
    if (shield) copse_scope_seal(shield, NULL);
    fail_memory(c);
  } else if (!c->arg[1].data) {
    cleanup_gate_open(c);
  } else if (!gate_wait(c, c->arg[1], cleanup_gate_open)) {
    leave_shield(c);
    fail_memory(c);
  }
}

void cleanup(call *c) { started(c); }

/* ---------------------------------------------------------------------------------------------- */

void tree_forget(call *c) {
  for (call **at = &children; c->child && *at; at = &(*at)->next_child) {
    if (*at != c) continue;
    *at = c->next_child;
    break;
  }
  c->child = NULL;
  for (size_t i = 0; i < c->place_count; i++) copse_buf_deinit(&c->places[i].value);
  free(c->places);
  c->places = NULL;
  c->place_count = 0;
  if (c->member) copse_member_leave(c->member, NULL);
  c->member = NULL;
}
