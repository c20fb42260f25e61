/* SPDX-License-Identifier: MIT
 *
 * The other side of worker.c: a root that spawns it, calls it, and talks to it over a stream.
 *
 *     cc parent.c $(pkg-config --cflags --libs copse) -o parent
 *     ./parent ./worker
 *
 * Nothing here waits for the worker or kills it. It was spawned in the root scope: it is told to
 * finish when nothing else is left there, and the program ends when it is gone. An error that no
 * callback takes care of (call `sum` with a string to see one) goes to the scope, cancels the rest,
 * and becomes the outcome of the program.
 */
#include <copse.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Appends an integer as one encoded value to a fresh buffer. */
static void pack_int(copse_buf *buf, int64_t number) {
  copse_buf_init(buf, 16, NULL);
  copse_pack_int(buf, number);
}

/* --- a stream: send a number, wait for the sum so far, send the next -------------------------- */

/* Also called when a send that got COPSE_EAGAIN may be tried again: the worker had not yet said how
 * many items it takes. */
static void send_number(copse_context *ctx, void *arg) {
  int64_t *number = arg;
  copse_buf item;
  pack_int(&item, *number);
  copse_status status = copse_send(ctx, copse_buf_bytes(&item));
  copse_buf_deinit(&item);
  if (status != COPSE_OK && status != COPSE_EAGAIN)
    copse_scope_fail(copse_context_scope(ctx), copse_status_error(status, "a number"));
}

static void on_started(copse_context *ctx, copse_bytes value, void *number) {
  (void)value;
  send_number(ctx, number);
}

static bool on_sum(copse_context *ctx, copse_bytes value, void *arg) {
  int64_t *number = arg, sum = 0;
  copse_value_int(value, &sum);
  printf("after %" PRId64 ": %" PRId64 "\n", *number, sum);
  if (++*number <= 5) send_number(ctx, number);
  else copse_end(ctx); /* no more numbers; the worker then returns */
  return true;
}

static bool on_stream_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  int64_t total = 0;
  (void)arg;
  if (outcome->kind != COPSE_RETURNED) return false; /* an error is the scope's to deal with */
  copse_value_int(outcome->value, &total);
  printf("running_sum returned %" PRId64 "\n", total);
  copse_main_done(copse_context_runtime(ctx), (copse_bytes){0}, NULL);
  return true;
}

static void open_stream(copse *rt, copse_peer *worker) {
  static int64_t number = 1;
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "running_sum";
  options.send = true;
  options.window = (copse_credit)COPSE_WINDOW_DEFAULT;
  options.cbs = (copse_context_cbs){
      .started = on_started, .writable = send_number, .item = on_sum, .done = on_stream_done};
  options.data = &number;
  copse_context *ctx;
  copse_status status = copse_open(worker, copse_root_scope(rt), &options, &ctx);
  if (status != COPSE_OK)
    copse_scope_fail(copse_root_scope(rt), copse_status_error(status, "running_sum"));
}

/* --- a call ----------------------------------------------------------------------------------- */

static bool on_call_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  int64_t sum = 0;
  (void)arg;
  if (outcome->kind != COPSE_RETURNED) return false;
  copse_value_int(outcome->value, &sum);
  printf("sum returned %" PRId64 "\n", sum);
  open_stream(copse_context_runtime(ctx), copse_context_peer(ctx));
  return true;
}

static void on_ready(copse_child *child, void *arg) {
  (void)arg;
  copse *rt = copse_child_runtime(child);
  copse_buf args;
  copse_buf_init(&args, 64, NULL);
  copse_pack_array(&args, 3);
  for (int64_t i = 0; i < 3; i++) copse_pack_int(&args, 20 + i);
  copse_status status = copse_call(copse_child_peer(child), copse_root_scope(rt), "sum",
                                   copse_buf_bytes(&args), on_call_done, NULL);
  copse_buf_deinit(&args);
  if (status != COPSE_OK) copse_scope_fail(copse_root_scope(rt), copse_status_error(status, "sum"));
}

/* --- the root --------------------------------------------------------------------------------- */

static void parent(copse *rt, copse_scope *scope, copse_bytes config, void *path) {
  (void)config;
  const char *argv[] = {path, NULL};
  copse_spawn_options options = {.size = sizeof options, .name = "worker", .argv = argv};
  copse_spawn_cbs cbs = {.ready = on_ready};
  copse_child *child;
  copse_status status = copse_spawn(rt, scope, &options, &cbs, NULL, &child);
  if (status != COPSE_OK) copse_scope_fail(scope, copse_status_error(status, path));
}

int main(int argc, char **argv) {
  copse *rt;
  char *why = NULL;
  copse_config config = {.size = sizeof config, .name = "parent"};
  if (copse_new(&rt, &config, &why) != COPSE_OK) {
    fprintf(stderr, "parent: %s\n", why ? why : "cannot become an actor");
    free(why);
    return 1;
  }
  char beside[] = "./worker";
  int status = copse_run(rt, parent, argc > 1 ? argv[1] : beside);

  /* The outcome of the whole tree, for people. */
  copse_error *error = copse_result_error(rt, NULL);
  if (error) {
    copse_buf text;
    copse_buf_init(&text, 65536, NULL);
    copse_error_report(error, &text, false, 0);
    fwrite(text.data, 1, text.size, stderr);
    copse_buf_deinit(&text);
  }
  copse_free(rt);
  return status;
}
