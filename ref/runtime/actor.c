/* SPDX-License-Identifier: MIT
 *
 * actor.c: what a process does to be an actor.
 *
 * An actor is a root scope with a way in. In a child the way in is the context `copse.actor`,
 * which the parent holds open: it brings the configuration, its END says "finish", its CANCEL
 * says "stop", and what the root scope comes to is its terminal. A root has no parent: it begins
 * at once, ends when its own work is over, and is told to stop by signals.
 *
 *   BOOTING     a child that was not given copse.actor
 *   WORKING     main runs, or has run and others are served
 *   FINISHING   no new contexts; what runs may end, then the root scope is sealed
 *   CANCELLED   everything is told to stop, and the root scope is sealed
 *   LEAVING     the root scope has ended, the terminal is said: links are being closed
 *   GONE        copse_run returns
 *
 * Everything that can end an actor (END, CANCEL, a signal, the loss of the parent, an error, the
 * end of its own work) is a move in that table. Whatever came first, the end is the same: the
 * root scope ends, with everything in it and every process below it, then the terminal leaves,
 * then the process.
 */
#include "runtime/process.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX (64u << 20)

#define MAY(life) (1u << COPSE__LIFE_##life)
static const unsigned moves[] = {
    [COPSE__LIFE_BOOTING] = MAY(WORKING) | MAY(CANCELLED) | MAY(LEAVING),
    [COPSE__LIFE_WORKING] = MAY(FINISHING) | MAY(CANCELLED) | MAY(LEAVING),
    [COPSE__LIFE_FINISHING] = MAY(CANCELLED) | MAY(LEAVING),
    [COPSE__LIFE_CANCELLED] = MAY(LEAVING),
    [COPSE__LIFE_LEAVING] = MAY(GONE),
    [COPSE__LIFE_GONE] = 0,
};

static bool move(copse__process *process, copse__life to) {
  if (!(moves[process->life] & (1u << to))) return false;
  process->life = to;
  return true;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_closed(copse *rt) {
  if (move(rt->process, COPSE__LIFE_GONE)) copse__stop(rt);
}

static void on_all_written(copse_job *job) {
  on_closed(copse__of(job, copse__process, closed_job)->rt);
}

/* Whether the end of the process is all that is left to say: our parent takes it for our BYE
 * (LINK-012), nobody else is there, and what it has sent may go unread (a socket pair only). */
static bool may_just_exit(const copse__process *process) {
  const copse__link *link = process->link;
  const copse__list *links = &process->rt->links;
  return process->rt->exits && process->is_child && !process->dialled && !process->link_lost &&
         link && link->state == COPSE__LINK_OPEN && link->rfd == link->wfd &&
         links->next == &link->all && links->prev == &link->all;
}

/* The last thing that is said has been said. */
static void leave(copse__process *process) {
  if (!move(process, COPSE__LIFE_LEAVING)) return;
  process->rt->phase = COPSE__CLOSING;
  copse__template_kill(&process->template);
  if (may_just_exit(process)) {
    process->closed_job.cb = on_all_written;
    copse__link_when_flushed(process->link, &process->closed_job);
    return;
  }
  /* From here on the process only exits. The link is about to be closed, so the watchdog cannot
   * watch it; should we hang all the same, our parent has its ladder, and its death is ours. One
   * that dies in between is seen by the watchdog, which looks once more when it is stopped. */
  if (process->is_child && !process->link_lost) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    copse__watchdog_stop(process->watchdog);
    process->watchdog = NULL;
  }
  copse__core_close(process->rt, on_closed);
}

/* copse.actor is over, since its terminal was sent or its link lost. */
static bool on_actor_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  copse__process *process = arg;
  (void)ctx;
  (void)outcome;
  process->actor = NULL;
  if (process->said) leave(process);
  return true;
}

static void on_root_ended(copse *rt, copse_error *error, bool cancelled) {
  copse__process *process = rt->process;
  copse_member_leave(&process->root_member, NULL);
  copse_member_leave(&process->actor_member, NULL);
  rt->exit_status = error || process->link_lost ? 1 : 0;
  process->said = true;
  if (!process->actor) leave(process);
  else if (error) copse_fail(process->actor, copse_error_ref(error));
  else if (cancelled && copse_scope_is_cancelled(copse_context_scope(process->actor)))
    copse_cancelled(process->actor);
  else copse_return(process->actor, copse_buf_bytes(&process->value));
}

/* --- being told to end ------------------------------------------------------------------------ */

/* No more comes in; what is there may go on. */
static void shut_doors(copse__process *process) {
  copse *rt = process->rt;
  rt->phase = COPSE__CLOSING;
  copse__listeners_close(rt);
}

static void finish(copse__process *process) {
  copse *rt = process->rt;
  if (!move(process, COPSE__LIFE_FINISHING)) return;
  shut_doors(process);
  copse__registry_leave(rt);
  copse__held_end(rt);
  if (process->main_done) copse_scope_seal(rt->root, NULL);
}

static void on_actor_end(copse_context *ctx, void *arg) {
  (void)ctx;
  finish(arg);
}

/* The root scope is cancelled, for whatever reason: so is the actor. */
static void on_root_cancelled(copse_member *member, void *arg) {
  copse__process *process = arg;
  move(process, COPSE__LIFE_CANCELLED);
  shut_doors(process);
  copse_member_leave(member, NULL);
  copse_scope_seal(process->rt->root, NULL);
}

static void on_root_finish(copse_member *member, void *arg) {
  (void)arg;
  copse_member_leave(member, NULL);
}

/* CANCEL, at once, also in the middle of a hot loop. */
static void on_actor_cancelled(copse_member *member) {
  copse__process *process = member->arg;
  copse__scope_cancel_cause(process->rt->root, copse_scope_cause(member->scope),
                            member->scope->grace_end);
}

/* The terminal is said when the root scope has ended, not before. */
static void on_actor_cancel_told(copse_context *ctx, void *arg) {
  (void)ctx;
  (void)arg;
}

/* With the cause where our parent sees it, if it can be told. */
void copse__actor_stop(copse__process *process, copse_origin origin, const char *message,
                       int64_t grace_ms) {
  copse_scope *scope =
      process->actor_member.scope ? process->actor_member.scope : process->rt->root;
  if (process->said || !scope) return; /* it has ended already */
  copse_scope_cancel(scope, origin, message, grace_ms);
}

void copse_shutdown(copse *rt, copse_origin origin, const char *message) {
  copse__actor_stop(rt->process, origin, message, -1);
}

static void on_link_lost(copse__link *link, copse_error *error, bool graceful) {
  copse__process *process = link->owner;
  (void)error;
  (void)graceful;
  if (process->life >= COPSE__LIFE_LEAVING) return;
  copse_log(process->rt, COPSE_LOG_INFO, "the link to the parent is lost");
  process->link_lost = true;
  copse__actor_stop(process, COPSE_ORIGIN_LINK_LOST, "the parent is gone", process->grace_ms);
}

/* --- copse.actor ------------------------------------------------------------------------------ */

/* Says what is wrong with an argument. */
__attribute__((format(printf, 3, 4))) static copse_status wrong(char *why, size_t size,
                                                                const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, size, format, args);
  va_end(args);
  return COPSE_EINVAL;
}

/* Calls `add` with every text of the array `key`. */
static copse_status each_text(copse_bytes args, const char *key,
                              copse_status (*add)(copse__process *process, const char *text,
                                                  char *why, size_t size),
                              copse__process *process, char *why, size_t size) {
  copse_bytes list, value, text;
  copse_reader reader;
  copse_token token;
  char copy[COPSE_ADDRESS_MAX + 1];
  copse_status status = COPSE_OK;
  if (copse_map_get(args, key, &list) != COPSE_OK) return COPSE_OK;
  copse_reader_init(&reader, list);
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY)
    return wrong(why, size, "\"%s\" is not an array", key);
  for (uint32_t i = 0; i < token.count && status == COPSE_OK; i++) {
    if (copse_read_value(&reader, &value) != COPSE_OK ||
        copse_value_str(value, &text) != COPSE_OK || text.size > COPSE_ADDRESS_MAX)
      return wrong(why, size, "\"%s\" holds something that is no address", key);
    snprintf(copy, sizeof copy, "%.*s", (int)text.size, (const char *)text.data);
    status = add(process, copy, why, size);
  }
  return status;
}

static copse_status add_registrar(copse__process *process, const char *address, char *why,
                                  size_t size) {
  (void)why;
  (void)size;
  if (process->registrar_count < COPSE__REGISTRARS_MAX)
    snprintf(process->registrars[process->registrar_count++], COPSE_ADDRESS_MAX + 1, "%s", address);
  return COPSE_OK;
}

static copse_status add_listener(copse__process *process, const char *address, char *why,
                                 size_t size) {
  char *reason = NULL;
  copse__listener *listener;
  if (!process->tree_path[0]) copse__rundir_of(address, process->tree_path);
  copse_status status =
      copse__listen(process->rt, address, (copse_bytes){NULL, 0}, &listener, &reason);
  if (status != COPSE_OK)
    wrong(why, size, "%.*s", (int)size - 1, reason ? reason : copse_status_text(status));
  free(reason);
  return status;
}

/* Takes what the parent says. COPSE_ENOMEM, or another status where it is of no use; *why then says
 * what is wrong. */
static copse_status take_args(copse__process *process, copse_bytes args, char *why, size_t size) {
  copse *rt = process->rt;
  copse_bytes value, text;
  copse_ref parent;
  int64_t number;
  bool flag;
  if (copse_value_type(args) != COPSE_MAP) return wrong(why, size, "not a map");
  if (copse_map_get(args, "parent", &value) != COPSE_OK ||
      copse_value_ref(value, &parent) != COPSE_OK)
    return wrong(why, size, "\"parent\" is not an actor reference");
  if (rt->parent && memcmp(rt->parent->ref.id, parent.id, sizeof parent.id) == 0)
    rt->parent->ref = parent; /* now with addresses */
  if (copse_map_get(args, "grace", &value) == COPSE_OK) {
    if (copse_value_int(value, &number) != COPSE_OK || number < 0)
      return wrong(why, size, "\"grace\" is not a number of milliseconds");
    process->grace_ms = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    rt->rungs.grace_ms = process->grace_ms;
    copse__watchdog_set_grace(process->watchdog, process->grace_ms);
  }
  if (copse_map_get(args, "log", &value) == COPSE_OK) {
    char level[16] = "";
    if (copse_value_str(value, &text) == COPSE_OK && text.size < sizeof level)
      snprintf(level, sizeof level, "%.*s", (int)text.size, (const char *)text.data);
    copse_log_level parsed = copse_log_parse(level, &flag);
    if (!flag) return wrong(why, size, "\"log\" is not a log level");
    rt->log_level = parsed;
  }
  if (copse_map_get(args, "debug", &value) == COPSE_OK &&
      copse_value_bool(value, &process->debug) != COPSE_OK)
    return wrong(why, size, "\"debug\" is not a boolean");
  if (copse_map_get(args, "config", &value) == COPSE_OK) {
    if (copse_value_type(value) != COPSE_MAP) return wrong(why, size, "\"config\" is not a map");
    copse_buf_reset(&process->config);
    copse_buf_append(&process->config, value.data, value.size);
    if (copse_buf_status(&process->config) != COPSE_OK) {
      wrong(why, size, "\"config\": %s", copse_status_text(COPSE_ENOMEM));
      return COPSE_ENOMEM;
    }
  }
  copse_status status = each_text(args, "registrar", add_registrar, process, why, size);
  if (status == COPSE_OK) status = each_text(args, "listen", add_listener, process, why, size);
  if (status == COPSE_OK && process->registry) copse__registry_announce(rt);
  return status;
}

static void on_main(copse_job *job) {
  copse__process *process = copse__of(job, copse__process, main_job);
  copse *rt = process->rt;
  if (process->life != COPSE__LIFE_WORKING && process->life != COPSE__LIFE_FINISHING) return;
  if (!process->main || process->main_started) return;
  process->main_started = true;
  process->main(rt, rt->root, copse_buf_bytes(&process->config), process->main_arg);
  if (!process->is_child) copse_ready(rt);
}

/* Only our parent gets here (see the export). */
static void on_actor(copse_context *ctx, copse_bytes args, void *arg) {
  copse__process *process = arg;
  static const copse_context_cbs cbs = {
      .end = on_actor_end, .cancel = on_actor_cancel_told, .done = on_actor_done};
  char why[320];
  if (process->life != COPSE__LIFE_BOOTING) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_DENIED, "copse.actor is open or was open already"));
    return;
  }
  process->actor = ctx;
  copse_context_set_data(ctx, process);
  copse_context_set_cbs(ctx, &cbs);
  copse_status status = take_args(process, args, why, sizeof why);
  if (status != COPSE_OK) {
    copse_code code = status == COPSE_ENOMEM ? COPSE_CODE_NO_MEMORY : COPSE_CODE_BAD_ARGS;
    copse_scope_seal(process->rt->root, copse_error_new(code, "copse.actor: %s", why));
    return;
  }
  move(process, COPSE__LIFE_WORKING);
  copse__member_join(copse_context_scope(ctx), &process->actor_member, NULL, on_actor_cancelled,
                     process);
  copse_post(process->rt, &process->main_job);
}

void copse_ready(copse *rt) {
  copse__process *process = rt->process;
  if (rt->phase != COPSE__NOT_READY) return;
  rt->phase = COPSE__READY;
  if (!process->actor) return;
  copse_buf value;
  copse_buf_init(&value, 4096, NULL);
  copse_pack_map(&value, 1);
  copse_pack_cstr(&value, "listen");
  copse_pack_array(&value, rt->self.address_count);
  for (size_t i = 0; i < rt->self.address_count; i++)
    copse_pack_cstr(&value, rt->self.addresses[i]);
  copse_status status = copse_buf_status(&value);
  if (status == COPSE_OK) status = copse_started(process->actor, copse_buf_bytes(&value));
  copse_buf_deinit(&value);
  /* A parent that is not told waits until its patience is over. */
  if (status == COPSE_ENOMEM) copse_scope_fail(rt->root, copse_status_error(status, "being ready"));
}

void copse_main_done(copse *rt, copse_bytes value, copse_error *error) {
  copse__process *process = rt->process;
  if (process->main_done || process->said) {
    copse_error_unref(error);
    return;
  }
  process->main_done = true;
  copse_buf_append(&process->value, value.data, value.size);
  if (!error && copse_buf_status(&process->value) != COPSE_OK)
    error = copse_error_new(COPSE_CODE_NO_MEMORY, "the result of main");
  if (!error && process->is_child && process->life == COPSE__LIFE_WORKING)
    copse_ready(rt); /* and serves until END */
  else copse_scope_seal(rt->root, error);
}

/* --- beginning -------------------------------------------------------------------------------- */

static const copse__link_hooks link_hooks = {.lost = on_link_lost};

static void on_watchdog(void *arg) { copse_wake(arg); }

static copse_status start_child(copse__process *process, copse__boot *boot, char **why) {
  copse *rt = process->rt;
  copse__link *link;
  copse_status status = copse__boot_link(boot, why);
  if (status != COPSE_OK) return status;
  process->dialled = boot->dialled;
  copse__watchdog_config watch = {.fds = {boot->rfd, boot->wfd == boot->rfd ? -1 : boot->wfd},
                                  .grace_ms = process->grace_ms,
                                  .group = boot->group,
                                  .turns = &rt->turns,
                                  .lost = on_watchdog,
                                  .arg = rt};
  status = copse__watchdog_start(&process->watchdog, &watch);
  if (status != COPSE_OK) {
    *why = strdup("the watchdog thread cannot be started");
    copse__boot_close(boot);
    return status;
  }
  rt->parent = copse__peer_new(rt, NULL);
  if (!rt->parent) {
    copse__boot_close(boot);
    return COPSE_ENOMEM;
  }
  rt->parent->parent = true;
  copse__link_options options = {.rfd = boot->rfd,
                                 .wfd = boot->wfd,
                                 .connector = true,
                                 .from = COPSE_FROM_PARENT,
                                 .heartbeat_ms = boot->dialled ? COPSE__HEARTBEAT_MS : 0,
                                 .hello_ms = COPSE__HELLO_MS,
                                 .token = {boot->token, boot->token_size},
                                 .peer = rt->parent,
                                 .hooks = &link_hooks,
                                 .owner = process};
  status = copse__link_new(rt, &options, &link);
  if (status == COPSE_OK) process->link = copse__link_ref(link);
  return status;
}

/* A root's directory and its own address in it. It can do without: then nobody finds it from
 * outside. */
static void start_root(copse__process *process, const copse_config *config) {
  copse *rt = process->rt;
  const char *reason;
  char address[COPSE_ADDRESS_MAX + 1], *why = NULL;
  copse__listener *listener;
  if (config && config->no_rundir) return;
  if (copse__rundir_create(&process->rundir, rt->self.name, &reason) != COPSE_OK) {
    copse_log(rt, COPSE_LOG_WARN, "this tree cannot be found from outside: %s: %m", reason);
    return;
  }
  snprintf(address, sizeof address, "unix:%s/" COPSE__ROOT_SOCKET, process->rundir.path);
  if (copse__listen(rt, address, (copse_bytes){NULL, 0}, &listener, &why) != COPSE_OK) {
    copse_log(rt, COPSE_LOG_WARN, "this tree cannot be found from outside: %s",
              why ? why : address);
    copse__rundir_remove(&process->rundir);
  } else {
    snprintf(process->tree_path, sizeof process->tree_path, "%s", process->rundir.path);
  }
  free(why);
}

static copse_status listen_all(copse *rt, const copse_config *config, char **why) {
  copse__listener *listener;
  copse_status status = COPSE_OK;
  const char *const *address = config && config->listen ? config->listen : NULL;
  for (; address && *address && status == COPSE_OK; address++)
    status = copse__listen(rt, *address, (copse_bytes){NULL, 0}, &listener, why);
  return status;
}

copse_status copse__process_identity(const copse_config *config, bool *is_child, uint8_t id[16],
                                     char name[COPSE_NAME_MAX + 1], char **why) {
  copse__boot boot;
  *is_child = false;
  if (config && config->ignore_env) return COPSE_OK;
  copse_status status = copse__boot_read(&boot, why);
  if (status == COPSE_OK && boot.is_child) {
    *is_child = true;
    memcpy(id, boot.id, 16);
    memcpy(name, boot.name, sizeof boot.name);
  }
  return status;
}

copse_status copse__process_init(copse *rt, const copse_config *config, char **why) {
  static const copse_member_cbs root_cbs = {on_root_cancelled, on_root_finish};
  copse__process *process = calloc(1, sizeof *process);
  if (!process) return COPSE_ENOMEM;
  copse__boot boot = {0};
  rt->process = process;
  process->rt = rt;
  process->rundir.fd = -1;
  process->grace_ms = rt->rungs.grace_ms;
  process->main_job.cb = on_main;
  copse__list_init(&process->children);
  copse__list_init(&process->requests);
  copse_buf_init(&process->config, VALUE_MAX, NULL);
  copse_buf_init(&process->value, VALUE_MAX, NULL);
  process->adopt.is_spawned = NULL;
  rt->on_root_ended = on_root_ended;
  rt->claim = copse__child_claim;

  copse_status status = COPSE_OK;
  if (!(config && config->ignore_env)) status = copse__boot_read(&boot, why);
  if (status != COPSE_OK) return status;
  process->is_child = boot.is_child;
  process->life = boot.is_child ? COPSE__LIFE_BOOTING : COPSE__LIFE_WORKING;
  copse__boot_hide();
  status = copse__adopt_init(rt, &process->adopt);
  process->adopt.is_spawned = copse__child_is_spawned;
  process->adopt.on_clear = copse__child_clear;
  if (status == COPSE_OK &&
      !copse__member_join(rt->root, &process->root_member, &root_cbs, NULL, process))
    status = COPSE_ENOMEM;
  if (status == COPSE_OK) status = copse__signals_init(process);
  if (status == COPSE_OK && boot.is_child) status = start_child(process, &boot, why);
  if (status == COPSE_OK && !boot.is_child) start_root(process, config);
  if (status == COPSE_OK) status = listen_all(rt, config, why);
  if (status == COPSE_OK)
    status =
        copse__export(rt, "copse.actor", on_actor, process, COPSE_FROM_PARENT, COPSE__EXPORT_ACTOR);
  if (status == COPSE_OK) status = copse__registry_init(rt, config);
  if (status == COPSE_OK) status = copse__info_init(rt);
  return status;
}

void copse__process_run(copse *rt, copse_main_cb main, void *arg) {
  copse__process *process = rt->process;
  process->main = main;
  process->main_arg = arg;
  /* A child's turn comes with copse.actor, unless that was here before us. */
  if (process->life != COPSE__LIFE_BOOTING) copse_post(rt, &process->main_job);
}

void copse__process_deinit(copse *rt) {
  copse__process *process = rt->process;
  if (!process) return;
  const bool just_exit = process->life == COPSE__LIFE_GONE && may_just_exit(process);
  copse__signals_deinit(process);
  copse__children_drop(rt);
  copse__template_end(&process->template);
  copse__requests_drop(rt);
  copse_member_leave(&process->root_member, NULL);
  copse_member_leave(&process->actor_member, NULL);
  copse__registry_deinit(rt);
  if (process->link_lost) copse__adopt_end_all(&process->adopt); /* the watchdog bounds it */
  if (!just_exit) copse__watchdog_stop(process->watchdog);
  copse__adopt_deinit(&process->adopt);
  copse__rundir_remove(&process->rundir);
  /* A dying root loses its links before its lock or after: it is asked for more than once. */
  const struct timespec moment = {0, 5000000};
  bool gone = !process->link_lost || !process->tree_path[0];
  for (int i = 0; i < 4 && !gone; i++) {
    if (i) nanosleep(&moment, NULL);
    gone = copse__rundir_sweep(process->tree_path);
  }
  if (process->link) copse__link_unref(process->link);
  copse_unpost(rt, &process->main_job);
  copse_unpost(rt, &process->closed_job);
  copse_buf_deinit(&process->config);
  copse_buf_deinit(&process->value);
  free(process);
  rt->process = NULL;
}
