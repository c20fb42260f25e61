/* SPDX-License-Identifier: MIT
 *
 * An actor in C, to be spawned by another one (parent.c, or a Lua program).
 *
 * It exports a call, `sum`, which adds its arguments up, and a stream, `running_sum`, which answers
 * each number with the sum so far until its opener sends no more.
 *
 *     cc worker.c $(pkg-config --cflags --libs copse) -o worker
 */
#include <copse.h>

#include <stdio.h>
#include <stdlib.h>

/* --- the call: arguments in, one value out ---------------------------------------------------- */

static void sum(copse_context *ctx, copse_bytes args, void *arg) {
  (void)arg;
  copse_reader reader;
  copse_token token;
  int64_t total = 0;

  /* What came is a well-formed value; whether it is what we want is ours to find out. */
  copse_reader_init(&reader, args);
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "sum takes numbers"));
    return;
  }
  for (uint32_t i = 1, count = token.count; i <= count; i++) {
    if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_INT) {
      copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "argument %u is not an integer", i));
      return;
    }
    total += token.integer;
  }

  copse_buf result;
  copse_buf_init(&result, 16, NULL);
  copse_pack_int(&result, total);
  copse_return(ctx, copse_buf_bytes(&result)); /* copied, so the buffer stays ours */
  copse_buf_deinit(&result);
}

/* --- the stream: items in and out, and a value at the end ------------------------------------- */

static void send_int(copse_context *ctx, int64_t number) {
  copse_buf item;
  copse_buf_init(&item, 16, NULL);
  copse_pack_int(&item, number);
  /* The opener sends the next number when it has our answer, so there is always credit. */
  copse_send(ctx, copse_buf_bytes(&item));
  copse_buf_deinit(&item);
}

static bool on_number(copse_context *ctx, copse_bytes value, void *arg) {
  int64_t *total = arg, number;
  if (copse_value_int(value, &number) != COPSE_OK) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_FAILED, "an item is not an integer"));
    return true;
  }
  *total += number;
  send_int(ctx, *total);
  return true; /* consumed: the opener may send another */
}

static void on_end(copse_context *ctx, void *arg) {
  int64_t *total = arg;
  copse_buf result;
  copse_buf_init(&result, 16, NULL);
  copse_pack_int(&result, *total);
  copse_return(ctx, copse_buf_bytes(&result));
  copse_buf_deinit(&result);
}

/* Whatever ended the context (a result, an error, cancellation, loss), this is called once. */
static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx, (void)outcome;
  free(arg);
  return true;
}

static void running_sum(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args, (void)arg;
  static const copse_context_cbs cbs = {.item = on_number, .end = on_end, .done = on_done};
  int64_t *total = calloc(1, sizeof *total);
  if (!total) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory"));
    return;
  }
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, total);
  copse_started(ctx, (copse_bytes){0}); /* ready, */
  /* and this many items may be under way at once: the opener waits when they are. */
  copse_accept_items(ctx, (copse_credit)COPSE_WINDOW_DEFAULT);
}

/* --- the actor -------------------------------------------------------------------------------- */

static void worker(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)scope, (void)config, (void)arg;
  copse_error *error = NULL;
  if (copse_export(rt, "sum", sum, NULL, COPSE_FROM_ANYONE, false) != COPSE_OK ||
      copse_export(rt, "running_sum", running_sum, NULL, COPSE_FROM_ANYONE, false) != COPSE_OK)
    error = copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory");
  copse_ready(rt);
  /* No work of its own: it serves until its parent needs it no more. */
  copse_main_done(rt, (copse_bytes){0}, error);
}

int main(void) {
  copse *rt;
  char *why = NULL;
  copse_config config = {.size = sizeof config, .name = "worker"};
  if (copse_new(&rt, &config, &why) != COPSE_OK) {
    fprintf(stderr, "worker: %s\n", why ? why : "cannot become an actor");
    free(why);
    return 1;
  }
  int status = copse_run(rt, worker, NULL);
  copse_free(rt);
  return status;
}
