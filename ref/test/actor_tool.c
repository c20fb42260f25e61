/* SPDX-License-Identifier: MIT
 *
 * The actor that the tests of processes spawn: well-behaved, and not.
 *
 * usage: actor-tool MODE [ARGUMENT]
 *
 * Mode root is the root of a tree of four levels and fifteen processes, with ARGUMENT at its
 * bottom.
 *
 * Mode named registers itself under the name ARGUMENT.
 *
 * An actor (modes serve, root, deaf, broken, liar) exports
 *   echo VALUE            returns it
 *   grow {levels, width, mode}   spawns `width` actors and has each grow a level less; at the
 *                         bottom: does `mode`. Ends when it is cancelled or its opener says END.
 *   hold                  runs until it is cancelled
 *   litter                starts a program that detaches itself from everything
 *   ask {name}            waits for who is registered under a name, connects there and calls `who`
 *   who                   returns its own name
 *   exit {status}         exits at once, without a word
 *   die {signal}          kills itself
 *   late                  returns 7 when its opener ends its items
 * Modes of the bottom and of the process: idle, spin (burns CPU), stop (SIGSTOP), block (sleeps
 * in a system call). What comes up says so in a line "NAME PID WHAT" written to the fifo
 * ACTOR_PIPE, if there is one. With ACTOR_DETACHED, actors are spawned behind a launcher that puts
 * them into a session of their own and stays.
 *
 * Mode template is the template of such actors (ARGUMENT good), one whose clones never cease to
 * show its mark (early), or one that goes wrong (see rogue_template.h).
 */
#include "test/rogue_template.h"

#include <copse.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char *self_path;
static const char *mode, *argument;
static char own_name[COPSE_NAME_MAX + 1];

static void say(const char *name, const char *what) {
  const char *path = getenv("ACTOR_PIPE");
  char line[128];
  int n = snprintf(line, sizeof line, "%s %ld %s\n", name, (long)getpid(), what);
  int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  if (write(fd, line, (size_t)n) != n) abort();
  close(fd);
}

_Noreturn static void spin(void) {
  for (volatile unsigned i = 0;; i++) continue;
}

static int64_t number(copse_bytes args, const char *key, int64_t absent) {
  copse_bytes value;
  int64_t out;
  if (copse_map_get(args, key, &value) != COPSE_OK || copse_value_int(value, &out) != COPSE_OK)
    return absent;
  return out;
}

static void text(copse_bytes args, const char *key, char *out, size_t size) {
  copse_bytes value, str;
  if (copse_map_get(args, key, &value) == COPSE_OK && copse_value_str(value, &str) == COPSE_OK)
    snprintf(out, size, "%.*s", (int)str.size, (const char *)str.data);
}

/* --- handlers --------------------------------------------------------------------------------- */

static void on_echo(copse_context *ctx, copse_bytes args, void *arg) {
  (void)arg;
  copse_return(ctx, args);
}

static void on_hold(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args;
  (void)arg;
  copse_started(ctx, (copse_bytes){NULL, 0}); /* no cancel callback: ends as cancelled */
}

static void on_exit_call(copse_context *ctx, copse_bytes args, void *arg) {
  (void)ctx;
  (void)arg;
  fprintf(stderr, "these are my last words\n");
  _exit((int)number(args, "status", 3));
}

static void on_die(copse_context *ctx, copse_bytes args, void *arg) {
  (void)ctx;
  (void)arg;
  fprintf(stderr, "these are my last words\n");
  kill(getpid(), (int)number(args, "signal", SIGKILL));
  for (;;) pause();
}

static void on_late_end(copse_context *ctx, void *arg) {
  static const uint8_t seven = 7; /* a positive fixint */
  (void)arg;
  copse_return(ctx, (copse_bytes){&seven, 1});
}

static void on_late(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {.end = on_late_end};
  (void)args;
  (void)arg;
  copse_context_set_cbs(ctx, &cbs);
  copse_started(ctx, (copse_bytes){NULL, 0});
}

/* --- growing a tree --------------------------------------------------------------------------- */

#define WIDTH_MAX 8

typedef struct grower {
  copse *rt;
  copse_scope *scope; /* where the actors live */
  int64_t levels, width;
  char what[16];
  copse_context *below[WIDTH_MAX];
  size_t below_count;
} grower;

static bool on_grow_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)outcome;
  free(arg);
  return false;
}

static void on_child_ready(copse_child *child, void *arg) {
  grower *g = arg;
  copse_open_options options = COPSE_OPEN_OPTIONS;
  copse_buf args;
  copse_buf_init(&args, 1024, NULL);
  copse_pack_map(&args, 3);
  copse_pack_cstr(&args, "levels");
  copse_pack_int(&args, g->levels - 1);
  copse_pack_cstr(&args, "width");
  copse_pack_int(&args, g->width);
  copse_pack_cstr(&args, "mode");
  copse_pack_cstr(&args, g->what);
  options.target = "grow";
  options.args = copse_buf_bytes(&args);
  options.send = true;
  copse_context *ctx;
  copse_status status = copse_open(copse_child_peer(child), g->scope, &options, &ctx);
  if (status == COPSE_OK) g->below[g->below_count++] = ctx;
  else if (status != COPSE_ECANCELLED) abort();
  copse_buf_deinit(&args);
}

/* Once what was said is on its way. */
static void at_the_bottom(uv_timer_t *timer) {
  const char *what = timer->data;
  say(own_name, what);
  if (!strcmp(what, "spin")) spin();
  if (!strcmp(what, "stop")) raise(SIGSTOP);
  if (!strcmp(what, "block"))
    for (;;) pause();
  uv_close((uv_handle_t *)timer, NULL);
}

static void grow(grower *g) {
  static const copse_spawn_cbs cbs = {.ready = on_child_ready};
  static uv_timer_t timer;
  static char what[16];
  if (g->levels == 0) {
    memcpy(what, g->what, sizeof what);
    timer.data = what;
    uv_timer_init(copse_loop(g->rt), &timer);
    uv_timer_start(&timer, at_the_bottom, 1, 0);
    return;
  }
  say(own_name, "middle");
  for (int64_t i = 0; i < g->width && i < WIDTH_MAX; i++) {
    char name[COPSE_NAME_MAX + 1];
    char line[4200];
    const char *plain[] = {self_path, "serve", NULL}, *detached[] = {"sh", "-c", line, NULL};
    const char *const *argv = getenv("ACTOR_DETACHED") ? detached : plain;
    snprintf(name, sizeof name, "%.40s.%d", own_name, (int)i);
    snprintf(line, sizeof line, "setsid -f '%s' serve; exec sleep 1000", self_path);
    copse_spawn_options options = {.size = sizeof options, .name = name, .argv = argv};
    copse_status status = copse_spawn(g->rt, g->scope, &options, &cbs, g, NULL);
    if (status != COPSE_OK && status != COPSE_ECANCELLED) abort();
  }
}

static void on_grow_end(copse_context *ctx, void *arg) {
  grower *g = arg;
  for (size_t i = 0; i < g->below_count; i++) copse_end(g->below[i]);
  copse_return(ctx, (copse_bytes){NULL, 0});
}

static void on_grow(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {.end = on_grow_end, .done = on_grow_done};
  grower *g = calloc(1, sizeof *g);
  if (!g) abort();
  g->rt = arg;
  g->scope = copse_context_scope(ctx);
  g->levels = number(args, "levels", 0);
  g->width = number(args, "width", 1);
  strcpy(g->what, "idle");
  text(args, "mode", g->what, sizeof g->what);
  copse_context_set_data(ctx, g);
  copse_context_set_cbs(ctx, &cbs);
  copse_started(ctx, (copse_bytes){NULL, 0});
  grow(g);
}

/* A program that has nothing to do with Copse, and nobody who waits for it. */
static void on_litter(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args;
  (void)arg;
  if (fork() == 0) {
    setsid();
    if (fork() == 0) execlp("sleep", "sleep", "1000", (char *)NULL);
    _exit(0);
  }
  copse_return(ctx, (copse_bytes){NULL, 0});
}

/* --- the registry ----------------------------------------------------------------------------- */

static bool on_asked(copse_context *inner, const copse_outcome *outcome, void *arg) {
  copse_context *ctx = arg;
  (void)inner;
  if (outcome->kind == COPSE_RETURNED) copse_return(ctx, outcome->value);
  if (outcome->kind == COPSE_FAILED) copse_fail(ctx, copse_error_ref(outcome->error));
  return outcome->kind != COPSE_WAS_CANCELLED;
}

static void on_reached(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  copse_context *ctx = arg;
  copse_buf args;
  (void)rt;
  if (error) {
    copse_fail(ctx, copse_error_ref(error));
    return;
  }
  copse_buf_init(&args, 64, NULL);
  copse_pack_map(&args, 0);
  if (copse_call(peer, copse_context_scope(ctx), "who", copse_buf_bytes(&args), on_asked, ctx) !=
      COPSE_OK)
    abort();
  copse_buf_deinit(&args);
}

static void on_found(const copse_ref *refs, size_t count, copse_error *error, void *arg) {
  copse_context *ctx = arg;
  copse *rt = copse_context_runtime(ctx);
  if (error) copse_fail(ctx, copse_error_ref(error));
  else if (count != 1 ||
           copse_reach(rt, copse_context_scope(ctx), refs, on_reached, ctx) != COPSE_OK)
    abort();
}

static void on_ask(copse_context *ctx, copse_bytes args, void *arg) {
  char name[COPSE_NAME_MAX + 1] = "";
  text(args, "name", name, sizeof name);
  if (copse_find(arg, copse_context_scope(ctx), name, true, on_found, ctx) != COPSE_OK) abort();
}

static void on_who(copse_context *ctx, copse_bytes args, void *arg) {
  copse_buf value;
  (void)args;
  (void)arg;
  copse_buf_init(&value, 256, NULL);
  copse_pack_cstr(&value, own_name);
  copse_return(ctx, copse_buf_bytes(&value));
  copse_buf_deinit(&value);
}

static void on_registered(copse_error *error, void *arg) {
  copse *rt = arg;
  copse_main_done(rt, (copse_bytes){NULL, 0}, copse_error_ref(error));
}

/* --- main ------------------------------------------------------------------------------------- */

static void ignore_cancel(copse_member *member, void *arg) {
  (void)member;
  (void)arg;
  say("deaf", "cancelled");
}

static void leave(copse_member *member, void *arg) {
  (void)arg;
  copse_member_leave(member, NULL);
}

static void main_cb(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  static const copse_member_cbs deaf = {.cancel = ignore_cancel}, body = {.cancel = leave};
  (void)config;
  (void)arg;
  strcpy(own_name, copse_self(rt)->name);
  copse_export(rt, "echo", on_echo, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "grow", on_grow, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "hold", on_hold, rt, COPSE_FROM_ANYONE, true);
  copse_export(rt, "exit", on_exit_call, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "die", on_die, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "litter", on_litter, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "ask", on_ask, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "who", on_who, rt, COPSE_FROM_ANYONE, false);
  copse_export(rt, "late", on_late, rt, COPSE_FROM_ANYONE, false);
  if (!strcmp(mode, "broken")) {
    fprintf(stderr, "there is no such module\n");
    copse_main_done(rt, (copse_bytes){NULL, 0},
                    copse_error_new(COPSE_CODE_FAILED, "this actor cannot start"));
    return;
  }
  if (!strcmp(mode, "named")) { /* ready when it is registered */
    if (copse_register(rt, scope, argument, on_registered, rt) != COPSE_OK) abort();
    return;
  }
  if (!strcmp(mode, "deaf")) {
    signal(SIGTERM, SIG_IGN);
    copse_scope_join(scope, &deaf, NULL);
    copse_ready(rt);
    return;
  }
  if (!strcmp(mode, "root")) {
    static grower g; /* of a tree of its own, with what is said to be at its bottom */
    g = (grower){.rt = rt, .scope = scope, .levels = 3, .width = 2};
    snprintf(g.what, sizeof g.what, "%s", argument);
    copse_scope_join(scope, &body, NULL); /* works until it is cancelled */
    grow(&g);
  }
  copse_buf value;
  copse_buf_init(&value, 256, NULL);
  copse_pack_cstr(&value, "all done");
  copse_main_done(rt, copse_buf_bytes(&value), NULL);
  copse_buf_deinit(&value);
}

int main(int argc, char **argv) {
  copse *rt;
  char *why;
  mode = argc > 1 ? argv[1] : "serve";
  argument = argc > 2 ? argv[2] : "idle";
  static char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return 125;
  self_path = path;
  if (!strcmp(mode, "template")) {
    bool early = !strcmp(argument, "early");
    char *mark = getenv("COPSE_WITHIN"), own_mark[33] = "";
    if (strcmp(argument, "good") != 0 && !early) rogue_template(argument);
    if (mark) snprintf(own_mark, sizeof own_mark, "%s", mark);
    if (copse_template_serve(&argc, &argv, &why) != COPSE_OK) return 125;
    if (early) memcpy(mark, own_mark, strlen(own_mark));
    mode = argv[1];
    argument = argc > 2 ? argv[2] : "idle";
  }
  if (!strcmp(mode, "silent"))
    for (;;) pause();
  if (!strcmp(mode, "garbage")) {
    static const char words[] = "Welcome to the machine\n";
    if (write(3, words, sizeof words - 1) < 0) return 125;
    for (;;) pause();
  }
  if (!strcmp(mode, "status")) {
    fprintf(stderr, "cannot find my configuration\n");
    return 3;
  }
  copse_config config = {.size = sizeof config};
  if (getenv("ACTOR_GRACE")) config.rungs.grace_ms = (uint32_t)atoi(getenv("ACTOR_GRACE"));
  if (copse_new(&rt, &config, &why) != COPSE_OK) {
    fprintf(stderr, "actor-tool: %s\n", why ? why : "out of memory");
    free(why);
    return 125;
  }
  int status = copse_run(rt, main_cb, NULL);
  copse_free(rt);
  if (!strcmp(mode, "liar")) return 9;
  return status;
}
