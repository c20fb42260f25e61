/* SPDX-License-Identifier: MIT
 *
 * The testee: what the conformance suite talks to in order to judge this implementation.
 *
 * It exports the handlers of conformance/TESTEE.md and knows nothing of the suite. This file has
 * the list of them, what they share, and those that answer at once or not at all; stream.c has
 * those that send and take items, tree.c those that start something.
 */
#include "testee.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char *own_command[2];

static int64_t running, ran, cancelled;

/* --- what they share -------------------------------------------------------------------------- */

void started(call *c) {
  if (!c->given) copse_started(c->ctx, (copse_bytes){0});
}

void return_int(call *c, int64_t number) {
  uint8_t bytes[16];
  copse_buf value = {.data = bytes, .capacity = sizeof bytes, .max = sizeof bytes};
  copse_pack_int(&value, number);
  copse_return(c->ctx, copse_buf_bytes(&value));
}

void fail_memory(call *c) {
  copse_fail(c->ctx, copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory"));
}

static void release(call *c) {
  copse_unpost(c->rt, &c->job);
  gate_leave(c);
  tree_forget(c);
  copse_buf_deinit(&c->args);
  copse_buf_deinit(&c->queue);
  free(c);
}

/* Whether somebody else cancelled it: an error of its own does so, too. */
static bool was_cancelled(const call *c) {
  const copse_cause *cause = copse_scope_cause(c->scope);
  return cause && (cause->origin != COPSE_ORIGIN_ERROR ||
                   memcmp(cause->by.id, copse_self(c->rt)->id, sizeof cause->by.id) != 0);
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  (void)ctx, (void)outcome;
  running--;
  cancelled += was_cancelled(c);
  release(c);
  return true;
}

/* --- echo, gate, open_gate, stubborn ---------------------------------------------------------- */

static void pack(copse_buf *buf, const copse_token *token) {
  const char *text = (const char *)token->bytes.data;
  const size_t size = token->bytes.size;
  switch (token->type) {
  case COPSE_NIL: copse_pack_nil(buf); break;
  case COPSE_BOOL: copse_pack_bool(buf, token->boolean); break;
  case COPSE_INT: copse_pack_int(buf, token->integer); break;
  case COPSE_FLOAT: copse_pack_float(buf, token->number); break;
  case COPSE_STR: copse_pack_str(buf, text, size); break;
  case COPSE_BIN: copse_pack_bin(buf, text, size); break;
  case COPSE_EXT: copse_pack_ext(buf, token->ext, text, size); break;
  case COPSE_ARRAY: copse_pack_array(buf, token->count); break;
  case COPSE_MAP: copse_pack_map(buf, token->count); break;
  }
}

/* Read and written anew: what is passed on as it came would show how the suite writes, and not how
 * we do. */
static void echo(call *c) {
  copse_reader reader;
  copse_token token;
  copse_buf value;
  copse_buf_init(&value, SIZE_MAX, NULL);
  copse_reader_init(&reader, c->arg[0]);
  while (reader.at < reader.end && copse_read(&reader, &token) == COPSE_OK) pack(&value, &token);
  if (copse_buf_status(&value) == COPSE_OK) copse_return(c->ctx, copse_buf_bytes(&value));
  else fail_memory(c);
  copse_buf_deinit(&value);
}

static void gate_opened(call *c) { copse_return(c->ctx, c->arg[1]); }

static void stubborn_opened(call *c) {
  if (arg_is(c, 2, "fail"))
    copse_fail(c->ctx, copse_error_new(COPSE_CODE_FAILED, "stubborn to the end"));
  else if (arg_is(c, 2, "cancel") && copse_scope_is_cancelled(c->scope)) copse_cancelled(c->ctx);
  else copse_return(c->ctx, c->arg[1]);
}

/* It has its place before it says so. */
static void wait_at(call *c, void (*opened)(call *c)) {
  started(c);
  if (!gate_wait(c, c->arg[0], opened)) fail_memory(c);
}

static void gate(call *c) { wait_at(c, gate_opened); }
static void stubborn(call *c) { wait_at(c, stubborn_opened); }
static void stay(copse_context *ctx, void *arg) { (void)ctx, (void)arg; }

static void open_gate(call *c) {
  int was_closed = gate_open(c->arg[0]);
  uint8_t value = was_closed ? 0xC3 : 0xC2; /* true, false */
  if (was_closed < 0) fail_memory(c);
  else copse_return(c->ctx, (copse_bytes){&value, 1});
}

/* --- crash ------------------------------------------------------------------------------------ */

/* In place of the link's descriptors comes a socket on which nothing happens. */
static void close_link(call *c) {
  int fds[2], quiet[2];
  copse_peer_fds(c->peer, fds);
  if (fds[0] < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, quiet) < 0) return;
  dup2(quiet[0], fds[0]);
  dup2(quiet[0], fds[1]);
  /* A thread that waits in the system holds what it waits for open. This interrupts every thread,
   * whatever signals it has blocked, and otherwise changes nothing. */
  if (setgid(getgid()) != 0) perror("setgid");
}

/* What user code in C that computes for long owes the runtime: to let it look, when it asks to, so
 * that it keeps its promises from inside of the loop. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(void *arg) {
  (void)arg;
  interrupted = 1;
}

static void spin(copse *rt) {
  copse_set_interrupt(rt, on_interrupt, NULL);
  for (;;) {
    if (!interrupted) continue;
    interrupted = 0;
    copse_pump(rt);
  }
}

static void crash_now(copse_job *job) {
  call *c = (call *)(void *)((char *)job - offsetof(call, job));
  if (arg_is(c, 0, "exit")) _exit((int)arg_int(c, 1, 3));
  if (arg_is(c, 0, "signal")) {
    int number = (int)arg_int(c, 2, SIGKILL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    signal(number, SIG_DFL);
    kill(getpid(), number);
    return;
  }
  signal(SIGTERM, arg_is(c, 0, "close") ? SIG_DFL : SIG_IGN);
  if (arg_is(c, 0, "close")) close_link(c);
  while (arg_is(c, 0, "hang")) pause();
  if (arg_is(c, 0, "spin")) spin(c->rt);
}

static void crash(call *c) {
  copse_bytes text = {0};
  copse_value_str(c->arg[3], &text);
  if (text.size && write(STDERR_FILENO, text.data, text.size) < 0) perror("stderr");
  c->job.cb = crash_now;
  if (!c->given || copse_peer_flush(c->peer, &c->job) != COPSE_OK) crash_now(&c->job);
}

/* --- stat ------------------------------------------------------------------------------------- */

static int64_t open_descriptors(void) {
  int64_t count = -3; /* "." and "..", and the one that reads this */
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return 0;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static int64_t resident_kib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  if (fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  fclose(file);
  return (int64_t)pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void stat_(call *c) {
  copse_wire_info link = {0};
  copse_buf map;
  copse_peer_get_info(c->peer, &link);
  /* Not counted: this one, and copse.actor, which is our parent's. */
  const int64_t hidden = 1 + (c->peer == copse_parent(c->rt));
  const struct {
    const char *key;
    int64_t number;
  } numbers[] = {{"pid", getpid()},
                 {"inbound", (int64_t)link.serving - hidden},
                 {"outbound", (int64_t)link.opened},
                 {"running", running - 1},
                 {"ran", ran},
                 {"cancelled", cancelled},
                 {"fds", open_descriptors()},
                 {"rss", resident_kib()}};
  const size_t count = sizeof numbers / sizeof *numbers;
  copse_buf_init(&map, SIZE_MAX, NULL);
  copse_pack_map(&map, count + 3);
  for (size_t i = 0; i < count; i++) {
    copse_pack_cstr(&map, numbers[i].key);
    copse_pack_int(&map, numbers[i].number);
  }
  copse_pack_cstr(&map, "actor");
  copse_pack_ref(&map, copse_self(c->rt), true);
  copse_pack_cstr(&map, "log");
  log_pack(&map);
  copse_pack_cstr(&map, "children");
  children_pack(&map);
  copse_return(c->ctx, copse_buf_bytes(&map));
  copse_buf_deinit(&map);
}

/* --- all of them ------------------------------------------------------------------------------ */

/* clang-format off */
static const struct handler handlers[] = {
    {"tck.echo", echo, {{"v", ANY, false}}, {0}},
    {"tck.fail", fail,
     {{"code", STR, false}, {"message", STR, false}, {"data", ANY, false}, {"items", INT, false}},
     {.writable = fail_on, .stopped = fail_on}},
    {"tck.gate", gate, {{"key", STR, true}, {"value", ANY, false}}, {0}},
    {"tck.open_gate", open_gate, {{"key", STR, true}}, {0}},
    {"tck.stubborn", stubborn,
     {{"key", STR, true}, {"value", ANY, false}, {"then", THEN, false}},
     {.cancel = stay}},
    {"tck.cleanup", cleanup,
     {{"name", STR, true}, {"key", STR, false}, {"shield", INT, false}, {"waits", INT, false},
      {"call", CALL, false}, {"error", STR, false}},
     {.cancel = cleanup_cancelled}},
    {"tck.relay", relay,
     {{"target", STR, true}, {"args", ARGS, false}, {"deadline", INT, false}}, {0}},
    {"tck.nursery", nursery, {{"open", CALLS, true}}, {0}},
    {"tck.crash", crash,
     {{"how", HOW, true}, {"status", INT, false}, {"signal", INT, false}, {"stderr", STR, false}},
     {0}},
    {"tck.stat", stat_, {{0}}, {0}},
    {"tck.source", source,
     {{"count", INT, false}, {"size", SIZE, false}},
     {.writable = source_on, .stopped = source_on}},
    {"tck.sink", sink,
     {{"window", WINDOW, false}, {"hold", STR, false}, {"stop_after", INT, false},
      {"linger", STR, false}},
     {.item = stream_item, .end = stream_end}},
    {"tck.duplex", duplex, {{"window", WINDOW, false}},
     {.item = stream_item, .end = stream_end, .writable = stream_on, .stopped = stream_on}},
    {"tck.drain", drain,
     {{"target", STR, true}, {"args", ARGS, false}, {"window", WINDOW, false}}, {0}},
    {"tck.spawn", spawn,
     {{"argv", ARGV, false}, {"name", STR, false}, {"grace", INT, false}, {"config", MAP, false},
      {"call", CALL, false}, {"boot", INT, false}},
     {.end = spawn_end}},
    {"tck.register", enter, {{"name", STR, true}}, {.end = enter_end}},
    {"tck.dial", dial,
     {{"ref", REF, true}, {"target", STR, true}, {"args", ARGS, false}, {"token", BIN, false}},
     {0}},
};
/* clang-format on */

static void serve(copse_context *ctx, copse_bytes args, void *arg) {
  const struct handler *handler = arg;
  char why[64];
  copse_bytes value;
  call *c = calloc(1, sizeof *c);
  if (!c) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory"));
    return;
  }
  running++;
  ran++;
  c->ctx = ctx;
  c->rt = copse_context_runtime(ctx);
  c->scope = copse_context_scope(ctx);
  c->peer = copse_context_peer(ctx);
  copse_buf_init(&c->queue, SIZE_MAX, NULL);
  copse_buf_init(&c->args, SIZE_MAX, NULL);
  copse_buf_append(&c->args, args.data, args.size);
  copse_context_cbs cbs = handler->cbs;
  cbs.done = on_done;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, c);
  if (copse_buf_status(&c->args) != COPSE_OK) {
    fail_memory(c);
  } else if (!args_read(c, handler->fields, why, sizeof why)) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "%s: %s", handler->name, why));
  } else {
    c->given = copse_map_get(copse_buf_bytes(&c->args), "started", &value) == COPSE_OK;
    copse_status status = c->given ? copse_started(ctx, value) : COPSE_OK;
    if (status == COPSE_OK) handler->run(c);
    else copse_fail(ctx, copse_status_error(status, "the value of STARTED"));
  }
}

static void testee(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)scope, (void)config, (void)arg;
  copse_error *error = NULL;
  for (size_t i = 0; i < sizeof handlers / sizeof *handlers && !error; i++) {
    void *handler = (void *)(uintptr_t)&handlers[i];
    copse_status status =
        copse_export(rt, handlers[i].name, serve, handler, COPSE_FROM_ANYONE, false);
    if (status != COPSE_OK) error = copse_status_error(status, handlers[i].name);
  }
  copse_main_done(rt, (copse_bytes){0}, error);
}

int main(int argc, char **argv) {
  copse *rt;
  char *why = NULL;
  copse_config config = {.size = sizeof config, .name = "testee", .registrar_here = true};
  config.no_rundir = true;
  own_command[0] = argc > 0 ? argv[0] : NULL;
  if (copse_new(&rt, &config, &why) != COPSE_OK) {
    fprintf(stderr, "%s: %s\n", argv[0], why ? why : "cannot become an actor");
    free(why);
    return 1;
  }
  if (copse_is_root(rt)) {
    fprintf(stderr, "%s: to be started by the conformance suite\n", argv[0]);
    copse_free(rt);
    return 2;
  }
  int status = copse_run(rt, testee, NULL);
  copse_free(rt);
  gates_free();
  log_free();
  return status;
}
