/* SPDX-License-Identifier: MIT
 *
 * The core: an actor's links, contexts and scopes, without anything about processes.
 *
 * Here the pieces get one life: made together, ended together. Two scopes are there from the
 * beginning. The root scope is the actor: when it ends, so does the actor. The scope of what is
 * served lives in it as a service: it does not keep the root scope from ending, but is told to
 * finish when nothing else is left, and then takes nothing new.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool copse__random(void *bytes, size_t size) {
  uint8_t *at = bytes;
  while (size) {
    ssize_t n = getrandom(at, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

/* --- what it serves --------------------------------------------------------------------------- */

void copse__serve_end(copse *rt) {
  rt->phase = COPSE__CLOSING;
  if (rt->served) copse_scope_seal(rt->served, NULL);
}

static void on_served_over(copse_member *member, void *arg) {
  copse *rt = ((copse_scope *)arg)->rt;
  (void)member;
  if (rt->on_served_finish && !rt->served->cancelled) rt->on_served_finish(rt);
  else copse__serve_end(rt);
}

/* How served contexts ended is their openers' business. */
static void on_served_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  (void)error;
  (void)cancelled;
  (void)arg;
  scope->rt->served = NULL;
}

static void on_root_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  copse *rt = scope->rt;
  (void)arg;
  rt->root = NULL;
  rt->result = copse_error_ref(error);
  rt->result_cancelled = cancelled;
  rt->exit_status = error ? 1 : 0;
  if (rt->on_root_ended) rt->on_root_ended(rt, error, cancelled);
  else copse__stop(rt);
}

/* --- beginning -------------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t other) { return value ? value : other; }

static void on_sigpipe(int signal) { (void)signal; }

copse_status copse__core_new(copse **out, const copse_config *config, const uint8_t *id,
                             const char *name) {
  copse_config none = {.size = sizeof none};
  if (!config) config = &none;
  copse *rt = calloc(1, sizeof *rt);
  copse_status status = COPSE_ENOMEM;
  if (!rt) return COPSE_ENOMEM;
  copse__list *lists[] = {&rt->links, &rt->peers, &rt->listeners, &rt->dials};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) copse__list_init(lists[i]);
  static const copse_limits defaults = COPSE_LIMITS_DEFAULT;
  rt->limits.message = or_default(config->limits.message, defaults.message);
  const uint32_t message = rt->limits.message; /* a frame must not be longer */
  rt->limits.frame =
      or_default(config->limits.frame, message < COPSE__FRAME ? message : COPSE__FRAME);
  rt->limits.contexts = or_default(config->limits.contexts, defaults.contexts);
  rt->limits.partials = or_default(config->limits.partials, defaults.partials);
  rt->rungs.grace_ms = or_default(config->rungs.grace_ms, COPSE__GRACE_MS);
  rt->rungs.term_ms = or_default(config->rungs.term_ms, COPSE__TERM_MS);
  rt->rungs.boot_ms = or_default(config->rungs.boot_ms, COPSE__BOOT_MS);
  copse__log_init(rt, config);
  if (id) {
    memcpy(rt->self.id, id, sizeof rt->self.id);
  } else if (!copse__random(rt->self.id, sizeof rt->self.id)) {
    status = COPSE_ESYSTEM;
    goto fail;
  }
  if (!name) name = "root";
  if (!copse__name_ok((const uint8_t *)name, strlen(name))) {
    status = COPSE_EINVAL;
    goto fail;
  }
  memcpy(rt->self.name, name, strlen(name) + 1);
  const char *token_file = config->ignore_env ? NULL : getenv("COPSE_TOKEN_FILE");
  if (token_file && !(rt->token_file = strdup(token_file))) goto fail;
  /* A peer that has gone is told of by an errno, not by our death. A handler that does nothing, and
   * not SIG_IGN: programs that this one executes find the default again. */
  struct sigaction pipe;
  if (sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL) {
    pipe.sa_handler = on_sigpipe;
    pipe.sa_flags = SA_RESTART;
    sigaction(SIGPIPE, &pipe, NULL);
  }
  status = copse__loop_init(rt, config->loop);
  if (status) goto fail;
  status = COPSE_ENOMEM;
  rt->root = copse__scope_new(rt, NULL, NULL, on_root_done, NULL, NULL);
  if (!rt->root) goto fail;
  static const copse_member_cbs served = {on_served_over, on_served_over};
  rt->served = copse__scope_new(rt, rt->root, NULL, on_served_done, NULL, &served);
  if (!rt->served) goto fail;
  *out = rt;
  return COPSE_OK;

fail:
  copse__core_free(rt);
  return status;
}

/* --- ending ----------------------------------------------------------------------------------- */

void copse__links_check(copse *rt) {
  if (!rt->closing || !rt->closed_cb || !copse__list_empty(&rt->links)) return;
  copse_post(rt, &rt->closed_job); /* the last one went in the middle of something */
}

static void on_closed(copse_job *job) {
  copse *rt = copse__of(job, copse, closed_job);
  void (*closed)(copse *) = rt->closed_cb;
  rt->closed_cb = NULL;
  if (closed) closed(rt);
}

void copse__core_close(copse *rt, void (*closed)(copse *rt)) {
  copse__list now;
  rt->closing = true;
  rt->closed_cb = closed;
  rt->closed_job.cb = on_closed;
  copse__listeners_close(rt);
  copse__list_init(&now);
  copse__list_move(&now, &rt->links);
  for (copse__list *node; (node = copse__list_pop(&now));) {
    copse__link *link = copse__of(node, copse__link, all);
    copse__list_push(&rt->links, node);
    copse__link_bye(link, COPSE_CODE_NONE, NULL);
    copse__link_hurry(link, COPSE__CLOSE_MS);
  }
  copse__links_check(rt);
}

void copse__core_free(copse *rt) {
  if (!rt) return;
  copse__hot_deinit(rt);
  if (rt->loop) {
    /* What has not ended by itself is dropped: nobody is to be called any more. */
    copse__listeners_close(rt);
    while (!copse__list_empty(&rt->links)) {
      copse__link *link = copse__of(rt->links.next, copse__link, all);
      copse__contexts_abandon(&link->contexts);
      copse__link_drop(link);
    }
    copse__dials_drop(rt);
    for (copse__list *node = rt->peers.next, *next; node != &rt->peers; node = next) {
      next = node->next; /* the peer may go with the last of its contexts */
      copse__contexts_abandon(&copse__of(node, copse_peer, all)->held);
    }
    copse__peer_unref(rt->parent);
    if (rt->root) copse__scope_abandon(rt->root);
    copse__loop_deinit(rt);
  }
  copse__exports_deinit(rt);
  copse_error_unref(rt->result);
  free(rt->token_file);
  free(rt);
}

/* --- queries ---------------------------------------------------------------------------------- */

copse_scope *copse_root_scope(copse *rt) { return rt->root; }
const copse_ref *copse_self(copse *rt) { return &rt->self; }
bool copse_is_root(copse *rt) { return !rt->parent; }
copse_peer *copse_parent(copse *rt) { return rt->parent; }
void *copse_data(copse *rt) { return rt->data; }
void copse_set_data(copse *rt, void *data) { rt->data = data; }
