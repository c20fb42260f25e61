/* SPDX-License-Identifier: MIT
 *
 * registry.c: the registrar: who bears which name.
 *
 * Being registered is a context that is held open on the registrar. So there is nothing to renew
 * and nothing that goes stale: however a registration ends, by END, by a scope that is
 * cancelled, by the death of the process or the loss of its link, the context ends, and the name
 * is gone with it. A watch is the same seen from the other side: a snapshot, then every change,
 * none missing and none twice, because both come from one list in one process.
 *
 * Names are not unique: several workers may share one, and who asks gets all, the oldest first.
 */
#include "runtime/registry.h"

#include <stdlib.h>
#include <string.h>

#define BACKLOG_MAX 1024 /* changes kept for a watcher that takes none */
#define LIST_MAX (64u << 20)

struct copse__registry {
  copse__list entries;
  copse__list watchers;
};

/* --- the names -------------------------------------------------------------------------------- */

static bool matches(const char *name, const copse__entry *entry) {
  return !name[0] || strcmp(name, entry->name) == 0;
}

static void tell(copse__registry *registry, const copse__entry *entry, bool added) {
  copse__list *next;
  for (copse__list *at = registry->watchers.next; at != &registry->watchers; at = next) {
    copse__watcher *watcher = copse__of(at, copse__watcher, all);
    next = at->next;
    if (matches(watcher->name, entry)) watcher->changed(watcher, entry, added);
  }
}

void copse__registry_add(copse__registry *registry, copse__entry *entry) {
  copse__list_push(&registry->entries, &entry->all);
  tell(registry, entry, true);
}

void copse__registry_remove(copse__registry *registry, copse__entry *entry) {
  if (!entry->all.next || copse__list_empty(&entry->all)) return;
  copse__list_remove(&entry->all);
  tell(registry, entry, false);
}

void copse__registry_watch(copse__registry *registry, copse__watcher *watcher) {
  copse__list_push(&registry->watchers, &watcher->all);
}

void copse__registry_unwatch(copse__watcher *watcher) {
  if (watcher->all.next) copse__list_remove(&watcher->all);
}

const copse__entry *copse__registry_next(copse__registry *registry, const char *name,
                                         const copse__entry *at) {
  const copse__list *link = at ? at->all.next : registry->entries.next;
  for (; link != &registry->entries; link = link->next) {
    const copse__entry *entry = copse__of((copse__list *)(uintptr_t)link, copse__entry, all);
    if (matches(name, entry)) return entry;
  }
  return NULL;
}

/* All entries under a name ("": any), oldest first. */
static void pack_list(copse__registry *registry, const char *name,
                      void (*pack)(const copse__entry *entry, copse_buf *out), copse_buf *out) {
  size_t count = 0;
  const copse__entry *entry = NULL;
  while ((entry = copse__registry_next(registry, name, entry))) count++;
  copse_pack_array(out, count);
  while ((entry = copse__registry_next(registry, name, entry))) pack(entry, out);
}

static void pack_ref(const copse__entry *entry, copse_buf *out) {
  copse_pack_ref(out, &entry->ref, true);
}

static void pack_name_and_ref(const copse__entry *entry, copse_buf *out) {
  copse_pack_cstr(out, "name");
  copse_pack_cstr(out, entry->name);
  copse_pack_cstr(out, "ref");
  pack_ref(entry, out);
}

static void pack_named(const copse__entry *entry, copse_buf *out) {
  copse_pack_map(out, 2);
  pack_name_and_ref(entry, out);
}

static void pack_change(const copse__entry *entry, bool added, copse_buf *out) {
  copse_pack_map(out, 3);
  copse_pack_cstr(out, "op");
  copse_pack_cstr(out, added ? "add" : "remove");
  pack_name_and_ref(entry, out);
}

/* --- serving ---------------------------------------------------------------------------------- */

/* One held context: a registration, a wait or a watch. */
typedef struct served {
  copse__registry *registry;
  copse_context *ctx;
  copse__entry entry;
  copse__watcher watcher;
  copse_buf *backlog; /* items that wait for credit, oldest first */
  size_t backlog_count;
} served;

static void refuse(copse_context *ctx, const char *why) {
  copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "%s", why));
}

/* Reads `name` of the arguments; where it is absent, "" if that is allowed. */
static bool read_name(copse_bytes args, char name[COPSE_NAME_MAX + 1], bool required) {
  copse_bytes value, text;
  name[0] = 0;
  copse_status status = copse_map_get(args, "name", &value);
  if (status == COPSE_EUNKNOWN) return !required;
  if (status != COPSE_OK || copse_value_str(value, &text) != COPSE_OK || text.size < 1 ||
      text.size > COPSE_NAME_MAX || memchr(text.data, 0, text.size))
    return false;
  memcpy(name, text.data, text.size);
  name[text.size] = 0;
  return true;
}

static void free_served(served *s) {
  for (size_t i = 0; i < s->backlog_count; i++) copse_buf_deinit(&s->backlog[i]);
  free(s->backlog);
  free(s);
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  served *s = arg;
  (void)ctx;
  (void)outcome;
  copse__registry_remove(s->registry, &s->entry);
  copse__registry_unwatch(&s->watcher);
  free_served(s);
  return true;
}

static void on_end(copse_context *ctx, void *arg) {
  (void)arg;
  copse_return(ctx, (copse_bytes){NULL, 0});
}

static served *serve(copse_context *ctx, copse__registry *registry, const copse_context_cbs *cbs) {
  served *s = calloc(1, sizeof *s);
  if (!s) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory"));
    return NULL;
  }
  s->registry = registry;
  s->ctx = ctx;
  copse_context_set_data(ctx, s);
  copse_context_set_cbs(ctx, cbs);
  return s;
}

static void on_register(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {.end = on_end, .done = on_done};
  char name[COPSE_NAME_MAX + 1];
  copse_bytes value;
  copse_ref ref;
  if (!read_name(args, name, true) || copse_map_get(args, "ref", &value) != COPSE_OK ||
      copse_value_ref(value, &ref) != COPSE_OK) {
    refuse(ctx, "copse.register takes {name, ref}");
    return;
  }
  if (memcmp(ref.id, copse_peer_ref(copse_context_peer(ctx))->id, sizeof ref.id) != 0) {
    copse_fail(ctx, copse_error_new(COPSE_CODE_DENIED, "an actor registers itself only"));
    return;
  }
  served *s = serve(ctx, arg, &cbs);
  if (!s) return;
  memcpy(s->entry.name, name, sizeof name);
  s->entry.ref = ref;
  copse__registry_add(s->registry, &s->entry);
  copse_status status = copse_started(ctx, (copse_bytes){NULL, 0});
  if (status != COPSE_OK) copse_fail(ctx, copse_status_error(status, "the registration"));
  else if (!copse_context_sends(ctx)) on_end(ctx, s);
}

/* Takes what is in the buffer. */
static void return_buf(copse_context *ctx, copse_buf *buf) {
  copse_status status = copse_buf_status(buf);
  if (status == COPSE_OK) copse_return(ctx, copse_buf_bytes(buf));
  else copse_fail(ctx, copse_status_error(status, "the answer"));
  copse_buf_deinit(buf);
}

static void on_find(copse_context *ctx, copse_bytes args, void *arg) {
  char name[COPSE_NAME_MAX + 1];
  copse_buf list;
  if (!read_name(args, name, true)) {
    refuse(ctx, "copse.find takes {name}");
    return;
  }
  copse_buf_init(&list, LIST_MAX, NULL);
  pack_list(arg, name, pack_ref, &list);
  return_buf(ctx, &list);
}

static void return_ref(copse_context *ctx, const copse__entry *entry) {
  copse_buf value;
  copse_buf_init(&value, 4096, NULL);
  pack_ref(entry, &value);
  return_buf(ctx, &value);
}

static void on_awaited(copse__watcher *watcher, const copse__entry *entry, bool added) {
  served *s = copse__of(watcher, served, watcher);
  if (!added) return;
  copse__registry_unwatch(watcher);
  return_ref(s->ctx, entry);
}

static void on_wait(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {.done = on_done};
  char name[COPSE_NAME_MAX + 1];
  if (!read_name(args, name, true)) {
    refuse(ctx, "copse.wait takes {name}");
    return;
  }
  const copse__entry *entry = copse__registry_next(arg, name, NULL);
  if (entry) {
    return_ref(ctx, entry);
    return;
  }
  served *s = serve(ctx, arg, &cbs);
  if (!s) return;
  memcpy(s->watcher.name, name, sizeof name);
  s->watcher.changed = on_awaited;
  copse__registry_watch(s->registry, &s->watcher);
}

/* A watcher that misses a change must not go on as if it had not. */
static void give_up_watch(served *s) {
  copse__registry_unwatch(&s->watcher);
  copse_fail(s->ctx, copse_error_new(COPSE_CODE_BUSY, "the watcher does not take the changes"));
}

/* Whether an item has left, or will never be missed: its context is over, or nobody reads. */
static bool is_gone(copse_status status) {
  return status == COPSE_OK || status == COPSE_ENOMORE || status == COPSE_ECLOSED ||
         status == COPSE_ESTATE;
}

static void on_watch_writable(copse_context *ctx, void *arg) {
  served *s = arg;
  size_t sent = 0;
  copse_status status = COPSE_OK;
  while (sent < s->backlog_count &&
         is_gone(status = copse_send(ctx, copse_buf_bytes(&s->backlog[sent]))))
    copse_buf_deinit(&s->backlog[sent++]);
  s->backlog_count -= sent;
  memmove(s->backlog, s->backlog + sent, s->backlog_count * sizeof *s->backlog);
  if (s->backlog_count && status != COPSE_EAGAIN) give_up_watch(s);
}

static void on_change(copse__watcher *watcher, const copse__entry *entry, bool added) {
  served *s = copse__of(watcher, served, watcher);
  copse_buf item;
  copse_buf_init(&item, 4096, NULL);
  pack_change(entry, added, &item);
  copse_status status = copse_buf_status(&item);
  if (status == COPSE_OK)
    status = s->backlog_count ? COPSE_EAGAIN : copse_send(s->ctx, copse_buf_bytes(&item));
  if (status == COPSE_EAGAIN) {
    if (!s->backlog) s->backlog = calloc(BACKLOG_MAX, sizeof *s->backlog);
    if (s->backlog && s->backlog_count < BACKLOG_MAX) {
      s->backlog[s->backlog_count++] = item;
      return;
    }
  }
  copse_buf_deinit(&item);
  if (!is_gone(status)) give_up_watch(s);
}

static void on_watch(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {
      .end = on_end, .writable = on_watch_writable, .done = on_done};
  char name[COPSE_NAME_MAX + 1];
  copse_buf list;
  if (!read_name(args, name, false)) {
    refuse(ctx, "copse.watch takes {name} or {}");
    return;
  }
  served *s = serve(ctx, arg, &cbs);
  if (!s) return;
  memcpy(s->watcher.name, name, sizeof name);
  s->watcher.changed = on_change;
  copse_buf_init(&list, LIST_MAX, NULL);
  pack_list(arg, name, pack_named, &list);
  copse_status status = copse_buf_status(&list);
  if (status == COPSE_OK) status = copse_started(ctx, copse_buf_bytes(&list));
  copse_buf_deinit(&list);
  if (status != COPSE_OK) copse_fail(ctx, copse_status_error(status, "the list of names"));
  else if (!copse_context_sends(ctx)) on_end(ctx, s);
  else copse__registry_watch(s->registry, &s->watcher);
}

/* Where it is found, by the children: at the addresses of this actor. */
void copse__registry_announce(copse *rt) {
  copse__process *process = rt->process;
  process->registrar_count = 0;
  for (size_t i = 0; i < rt->self.address_count && i < COPSE__REGISTRARS_MAX; i++)
    strcpy(process->registrars[process->registrar_count++], rt->self.addresses[i]);
}

copse_status copse__registry_init(copse *rt, const copse_config *config) {
  static const struct {
    const char *target;
    copse_handler handler;
    unsigned flags;
  } targets[] = {{"copse.register", on_register, COPSE__EXPORT_HELD},
                 {"copse.find", on_find, 0},
                 {"copse.wait", on_wait, COPSE__EXPORT_HELD},
                 {"copse.watch", on_watch, COPSE__EXPORT_HELD}};
  copse__process *process = rt->process;
  bool here = config && config->registrar_here;
  if (process->is_child && !here) return COPSE_OK; /* copse.actor tells where the registrar is */
  if (!here && config && config->registrar) {
    if (strlen(config->registrar) > COPSE_ADDRESS_MAX) return COPSE_EINVAL;
    strcpy(process->registrars[process->registrar_count++], config->registrar);
    return COPSE_OK;
  }
  process->registry = calloc(1, sizeof *process->registry);
  if (!process->registry) return COPSE_ENOMEM;
  copse__list_init(&process->registry->entries);
  copse__list_init(&process->registry->watchers);
  copse__registry_announce(rt);
  copse_status status = COPSE_OK;
  for (size_t i = 0; i < sizeof targets / sizeof *targets && status == COPSE_OK; i++)
    status = copse__export(rt, targets[i].target, targets[i].handler, process->registry,
                           COPSE_FROM_ANYONE, targets[i].flags);
  return status;
}

void copse__registry_deinit(copse *rt) {
  free(rt->process->registry);
  rt->process->registry = NULL;
}
