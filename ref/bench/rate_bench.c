/* SPDX-License-Identifier: MIT
 *
 * One way: how much passes from one process to another on another processor.
 *
 *   rate_bench uv64 N       64-byte messages, msgpack-c encode and decode for each, libuv, written
 * in batches: the limit of this stack for small messages rate_bench copse64 N    as items of a
 * context rate_bench raw64k N     64 KiB writes on a unix socket: the limit for large ones
 *   rate_bench copse64k N   as items of a context
 *
 * Prints messages per second for the small ones, gigabytes per second for the large ones.
 */
#include "measure.h"

#include <errno.h>
#include <msgpack.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { SMALL = 64, LARGE = 65536, BATCH = 65536, HEADER = 12 };

static uint64_t count;
static uint64_t begun, ended;
static char payload[LARGE];

/* Forks the receiver, tied to the second processor; fds[0] is the sender's end in the parent. */
static pid_t fork_receiver(int fds[2], void (*receive)(int fd)) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) bench_die("socketpair");
  pid_t child = fork();
  if (child < 0) bench_die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(fds[0]);
    bench_pin(1);
    receive(fds[1]);
    bench_write_all(fds[1], "!", 1);
    _exit(0);
  }
  close(fds[1]);
  bench_pin(0);
  return child;
}

/* --- the limit for large messages ------------------------------------------------------------- */

static void raw_receive(int fd) {
  uint64_t left = count * LARGE;
  while (left) {
    ssize_t n = read(fd, payload, sizeof payload);
    if (n <= 0) bench_die("read");
    left -= (uint64_t)n;
  }
}

static void raw64k(void) {
  int fds[2];
  pid_t child = fork_receiver(fds, raw_receive);
  char last;
  begun = bench_now();
  for (uint64_t i = 0; i < count; i++) bench_write_all(fds[0], payload, sizeof payload);
  if (!bench_read_all(fds[0], &last, 1)) bench_die("the receiver is gone");
  ended = bench_now();
  close(fds[0]);
  waitpid(child, NULL, 0);
}

/* --- the limit for small messages: what any user of this stack would write -------------------- */

typedef struct {
  uv_loop_t loop;
  uv_pipe_t pipe;
  uv_write_t write;
  char *buffer;
  size_t filled, used;
  uint64_t left;
  msgpack_sbuffer packed;
  msgpack_zone zone;
} uv_side;

static void uv_side_init(uv_side *side, int fd) {
  memset(side, 0, sizeof *side);
  side->buffer = malloc(BATCH * 2);
  side->left = count;
  if (!side->buffer || uv_loop_init(&side->loop) || uv_pipe_init(&side->loop, &side->pipe, 0) ||
      uv_pipe_open(&side->pipe, fd))
    bench_die("libuv");
  side->pipe.data = side;
  msgpack_sbuffer_init(&side->packed);
  msgpack_zone_init(&side->zone, 8192);
}

static void uv_side_deinit(uv_side *side) {
  uv_run(&side->loop, UV_RUN_NOWAIT);
  uv_loop_close(&side->loop);
  msgpack_zone_destroy(&side->zone);
  msgpack_sbuffer_destroy(&side->packed);
  free(side->buffer);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf) {
  (void)wanted;
  uv_side *side = handle->data;
  memmove(side->buffer, side->buffer + side->used, side->filled - side->used);
  side->filled -= side->used;
  side->used = 0;
  *buf = uv_buf_init(side->buffer + side->filled, (unsigned)(BATCH * 2 - side->filled));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  (void)buf;
  uv_side *side = stream->data;
  if (n < 0) bench_die("the sender is gone");
  side->filled += (size_t)n;
  while (side->filled - side->used >= HEADER) {
    unsigned char *at = (unsigned char *)side->buffer + side->used;
    size_t length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2], offset = 0;
    if (side->filled - side->used < HEADER + length) break;
    msgpack_object object;
    msgpack_zone_clear(&side->zone);
    if (msgpack_unpack((char *)at + HEADER, length, &offset, &side->zone, &object) !=
            MSGPACK_UNPACK_SUCCESS ||
        object.type != MSGPACK_OBJECT_STR || object.via.str.size != SMALL)
      bench_die("a message that was not sent");
    side->used += HEADER + length;
    side->left--;
  }
  if (side->left == 0) {
    uv_read_stop(stream);
    uv_stop(&side->loop);
  }
}

static void uv_receive(int fd) {
  uv_side side;
  uv_side_init(&side, fd);
  uv_read_start((uv_stream_t *)&side.pipe, on_alloc, on_read);
  uv_run(&side.loop, UV_RUN_DEFAULT);
  fd = dup(fd);
  uv_close((uv_handle_t *)&side.pipe, NULL);
  uv_side_deinit(&side);
  bench_write_all(fd, "!", 1);
  _exit(0);
}

static void on_written(uv_write_t *request, int status);

static void uv_send_batch(uv_side *side) {
  size_t size = 0;
  while (side->left && size + HEADER + SMALL + 5 <= BATCH) {
    msgpack_packer packer;
    side->packed.size = 0;
    msgpack_packer_init(&packer, &side->packed, msgpack_sbuffer_write);
    msgpack_pack_str(&packer, SMALL);
    msgpack_pack_str_body(&packer, payload, SMALL);
    unsigned char *at = (unsigned char *)side->buffer + size;
    memset(at, 0, HEADER);
    at[1] = (unsigned char)(side->packed.size >> 8);
    at[2] = (unsigned char)side->packed.size;
    memcpy(at + HEADER, side->packed.data, side->packed.size);
    size += HEADER + side->packed.size;
    side->left--;
  }
  uv_buf_t buf = uv_buf_init(side->buffer, (unsigned)size);
  if (size && uv_write(&side->write, (uv_stream_t *)&side->pipe, &buf, 1, on_written))
    bench_die("uv_write");
}

static void on_written(uv_write_t *request, int status) {
  if (status) bench_die("uv_write: %s", uv_strerror(status));
  uv_send_batch(request->handle->data);
}

static void uv64(void) {
  int fds[2];
  pid_t child = fork_receiver(fds, uv_receive);
  uv_side side;
  int end = dup(fds[0]);
  char last;
  uv_side_init(&side, fds[0]);
  begun = bench_now();
  uv_send_batch(&side);
  uv_run(&side.loop, UV_RUN_DEFAULT);
  /* libuv has made the description non-blocking; the one byte to come is waited for. */
  uv_stream_set_blocking((uv_stream_t *)&side.pipe, 1);
  if (!bench_read_all(end, &last, 1)) bench_die("the receiver is gone");
  ended = bench_now();
  uv_close((uv_handle_t *)&side.pipe, NULL);
  uv_side_deinit(&side);
  close(end);
  waitpid(child, NULL, 0);
}

/* --- Copse: the receiver ---------------------------------------------------------------------- */

typedef struct {
  uint64_t items, bytes;
} tally;

static tally seen;

static bool sink_item(copse_context *ctx, copse_bytes value, void *arg) {
  (void)ctx, (void)arg;
  copse_bytes content;
  if (copse_value_bin(value, &content) != COPSE_OK) bench_die("an item that was not sent");
  seen.items++;
  seen.bytes += content.size;
  return true;
}

static void sink_end(copse_context *ctx, void *arg) {
  (void)arg;
  copse_buf out;
  copse_buf_init(&out, 64, NULL);
  copse_pack_array(&out, 2);
  copse_pack_int(&out, (int64_t)seen.items);
  copse_pack_int(&out, (int64_t)seen.bytes);
  copse_return(ctx, copse_buf_bytes(&out));
  copse_buf_deinit(&out);
}

static void sink(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args, (void)arg;
  copse_context_cbs cbs = {.item = sink_item, .end = sink_end};
  copse_context_set_cbs(ctx, &cbs);
  copse_started(ctx, (copse_bytes){0});
  copse_accept_items(ctx, (copse_credit){65536, 8u << 20});
}

static void sink_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)scope, (void)config, (void)arg;
  copse_export(rt, "sink", sink, NULL, COPSE_FROM_PARENT, false);
  copse_ready(rt);
  bench_done(rt);
}

/* --- Copse: the sender ------------------------------------------------------------------------ */

static uint64_t left;
static size_t item_size;

static void pour(copse_context *ctx, void *arg) {
  (void)arg;
  while (left) {
    copse_status status = copse_send_bin(ctx, payload, item_size);
    if (status == COPSE_EAGAIN) return;
    errno = 0;
    if (status != COPSE_OK) bench_die("copse_send_bin: %s", copse_status_text(status));
    left--;
  }
  copse_end(ctx);
}

static void pour_started(copse_context *ctx, copse_bytes value, void *arg) {
  (void)value;
  begun = bench_now();
  pour(ctx, arg);
}

static bool pour_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)arg;
  bench_returned(outcome, "sink");
  copse_reader reader;
  copse_token items, bytes;
  copse_reader_init(&reader, outcome->value);
  copse_read(&reader, &items);
  if (copse_read(&reader, &items) != COPSE_OK || copse_read(&reader, &bytes) != COPSE_OK ||
      items.integer != (int64_t)count || bytes.integer != (int64_t)(count * item_size))
    bench_die("something was lost on the way");
  ended = bench_now();
  bench_done(copse_context_runtime(ctx));
  return true;
}

static void pour_ready(copse_child *child, void *arg) {
  (void)arg;
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "sink";
  options.send = true;
  options.cbs = (copse_context_cbs){.started = pour_started, .writable = pour, .done = pour_done};
  copse_context *ctx;
  if (copse_open(copse_child_peer(child), copse_root_scope(copse_child_runtime(child)), &options,
                 &ctx) != COPSE_OK)
    bench_die("copse_open");
}

static void root_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)scope, (void)config, (void)arg;
  left = count;
  bench_spawn_self(rt, "sink", pour_ready, NULL);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "sink") == 0) {
    bench_pin(1);
    return bench_actor(sink_main, NULL);
  }
  bool large = strstr(mode, "64k") != NULL;
  count = argc > 2 ? strtoull(argv[2], NULL, 10) : large ? 20000 : 1000000;
  item_size = large ? LARGE : SMALL;
  memset(payload, 'x', sizeof payload);
  int status = 0;
  if (strcmp(mode, "uv64") == 0) {
    uv64();
  } else if (strcmp(mode, "raw64k") == 0) {
    raw64k();
  } else if (strcmp(mode, "copse64") == 0 || strcmp(mode, "copse64k") == 0) {
    bench_pin(0);
    status = bench_actor(root_main, NULL);
  } else {
    bench_die("usage: rate_bench uv64|copse64|raw64k|copse64k N");
  }
  double seconds = (double)(ended - begun) / 1e9;
  if (status == 0 && large) printf("%.4f\n", (double)count * LARGE / 1e9 / seconds);
  if (status == 0 && !large) printf("%.0f\n", (double)count / seconds);
  return status;
}
