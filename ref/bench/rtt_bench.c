/* SPDX-License-Identifier: MIT
 *
 * There and back: how long a message of 64 bytes takes to another process and its echo back, both
 * processes on one processor (so that no wake-up of an idle one is measured).
 *
 *   rtt_bench raw N      blocking read and write on a unix socket: the limit
 *   rtt_bench stream N   an item of an open context and its echo
 *   rtt_bench call N     a call with the bytes as its argument, which returns them
 *
 * Prints microseconds for one round trip.
 */
#include "measure.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAYLOAD = 64, WARM_UP = 2000 };

static uint64_t rounds;

static double raw(void) {
  int fds[2];
  char data[PAYLOAD];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) bench_die("socketpair");
  pid_t child = fork();
  if (child < 0) bench_die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(fds[0]);
    while (bench_read_all(fds[1], data, sizeof data)) bench_write_all(fds[1], data, sizeof data);
    _exit(0);
  }
  close(fds[1]);
  memset(data, 'x', sizeof data);
  uint64_t begun = 0;
  for (uint64_t i = 0; i < rounds + WARM_UP; i++) {
    if (i == WARM_UP) begun = bench_now();
    bench_write_all(fds[0], data, sizeof data);
    if (!bench_read_all(fds[0], data, sizeof data)) bench_die("the echo is gone");
  }
  double took = (double)(bench_now() - begun);
  close(fds[0]);
  waitpid(child, NULL, 0);
  return took / 1e3 / (double)rounds;
}

/* --- the echo, a child actor ------------------------------------------------------------------ */

static bool echo_item(copse_context *ctx, copse_bytes value, void *arg) {
  (void)arg;
  copse_send(ctx, value);
  return true;
}

static void echo_end(copse_context *ctx, void *arg) {
  (void)arg;
  copse_return(ctx, (copse_bytes){0});
}

static void echo_stream(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args, (void)arg;
  copse_context_cbs cbs = {.item = echo_item, .end = echo_end};
  copse_context_set_cbs(ctx, &cbs);
  copse_accept_items(ctx, (copse_credit)COPSE_WINDOW_DEFAULT);
  copse_started(ctx, (copse_bytes){0});
}

static void echo_call(copse_context *ctx, copse_bytes args, void *arg) {
  (void)arg;
  copse_return(ctx, args);
}

static void echo_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)scope, (void)config, (void)arg;
  copse_export(rt, "stream", echo_stream, NULL, COPSE_FROM_PARENT, false);
  copse_export(rt, "call", echo_call, NULL, COPSE_FROM_PARENT, false);
  copse_ready(rt);
  bench_done(rt);
}

/* --- the measuring side ----------------------------------------------------------------------- */

static copse_buf message;
static uint64_t done_rounds, begun, ended;

/* True while there is another round to begin. */
static bool next_round(void) {
  if (done_rounds == WARM_UP) begun = bench_now();
  if (done_rounds++ < WARM_UP + rounds) return true;
  ended = bench_now();
  return false;
}

/* Packed anew for each message, as a program would. */
static copse_bytes pack(bool in_array) {
  static const char data[PAYLOAD] = {'x'};
  copse_buf_reset(&message);
  if (in_array) copse_pack_array(&message, 1);
  copse_pack_bin(&message, data, sizeof data);
  return copse_buf_bytes(&message);
}

static void ping(copse_context *ctx, void *arg) {
  (void)arg;
  copse_status status = copse_send(ctx, pack(false));
  /* The first may have to wait for credit: this is `writable`, too. */
  if (status == COPSE_EAGAIN) return;
  errno = 0;
  if (status != COPSE_OK) bench_die("copse_send: %s", copse_status_text(status));
}

static void next_ping(copse_context *ctx) {
  if (next_round()) {
    ping(ctx, NULL);
  } else {
    copse_end(ctx);
  }
}

static void stream_started(copse_context *ctx, copse_bytes value, void *arg) {
  (void)value, (void)arg;
  next_ping(ctx);
}

static bool stream_item(copse_context *ctx, copse_bytes value, void *arg) {
  (void)arg;
  copse_bytes content;
  if (copse_value_bin(value, &content) != COPSE_OK || content.size != PAYLOAD)
    bench_die("another echo");
  next_ping(ctx);
  return true;
}

static bool stream_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)arg;
  bench_returned(outcome, "stream");
  bench_done(copse_context_runtime(ctx));
  return true;
}

static void stream_ready(copse_child *child, void *arg) {
  (void)arg;
  copse *rt = copse_child_runtime(child);
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "stream";
  options.send = true;
  options.window = (copse_credit)COPSE_WINDOW_DEFAULT;
  options.cbs = (copse_context_cbs){
      .started = stream_started, .writable = ping, .item = stream_item, .done = stream_done};
  copse_context *ctx;
  if (copse_open(copse_child_peer(child), copse_root_scope(rt), &options, &ctx) != COPSE_OK)
    bench_die("copse_open");
}

static bool call_done(copse_context *ctx, const copse_outcome *outcome, void *child);

static void call(copse_child *child) {
  copse *rt = copse_child_runtime(child);
  if (!next_round()) {
    bench_done(rt);
    return;
  }
  if (copse_call(copse_child_peer(child), copse_root_scope(rt), "call", pack(true), call_done,
                 child) != COPSE_OK)
    bench_die("copse_call");
}

static bool call_done(copse_context *ctx, const copse_outcome *outcome, void *child) {
  (void)ctx;
  bench_returned(outcome, "call");
  call(child);
  return true;
}

static void call_ready(copse_child *child, void *arg) {
  (void)arg;
  call(child);
}

static void root_main(copse *rt, copse_scope *scope, copse_bytes config, void *mode) {
  (void)scope, (void)config;
  bench_spawn_self(rt, "echo", strcmp(mode, "call") == 0 ? call_ready : stream_ready, NULL);
}

int main(int argc, char **argv) {
  if (argc < 2) bench_die("usage: rtt_bench raw|stream|call N");
  bench_pin(0);
  if (strcmp(argv[1], "echo") == 0) return bench_actor(echo_main, NULL);
  rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
  if (strcmp(argv[1], "raw") == 0) {
    printf("%.4f\n", raw());
    return 0;
  }
  copse_buf_init(&message, 4096, NULL);
  int status = bench_actor(root_main, argv[1]);
  copse_buf_deinit(&message);
  if (status == 0) printf("%.4f\n", (double)(ended - begun) / 1e3 / (double)rounds);
  return status;
}
