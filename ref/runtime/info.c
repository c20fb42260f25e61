/* SPDX-License-Identifier: MIT
 *
 * info.c: copse.info, the tree as it is now.
 *
 * Each actor answers for itself and passes the question on to its children, so that the
 * answer of the root is the whole tree: a flat list in which everybody names the actor
 * above, since the depth of a value is bounded and that of a tree is not. To look must
 * never change what is looked at: a child that does not answer in time (stopped, in a
 * long C call) is listed as such, and nothing else happens to it. In particular the
 * question is not cancelled, since a cancellation that is not answered either ends with
 * a dead child. It stays open until the child comes round, and is not asked twice.
 */
#include "runtime/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For the answers of children. Each level waits a little less than the one above, so that it is the
 * parent of a silent actor that tells of it; little, so that a tall tree has time as well. */
#define WAIT_MS 1500
#define WAIT_BELOW(wait) ((wait)-1 - (wait) / 16)
#define WAIT_KEY "ref.wait" /* tells them: our own addition, which others ignore */
#define VALUE_MAX (64u << 20)

/* What is known of one child at the end. */
typedef struct child_report {
  copse_ref ref;
  pid_t pid;
  bool failed;       /* it has answered, with an error */
  uint32_t entries;  /* of its own answer, */
  copse_buf encoded; /* one after the other */
} child_report;

typedef struct copse__info {
  copse_context *ctx; /* NULL: answered, or its peer is gone */
  copse *rt;
  copse__timer timer;
  child_report *reports;
  size_t count, waiting;
  unsigned refs; /* the context, and each child that owes an answer */
} copse__info;

static void unref(copse__info *info) {
  if (--info->refs) return;
  for (size_t i = 0; i < info->count; i++) copse_buf_deinit(&info->reports[i].encoded);
  free(info->reports);
  free(info);
}

/* --- the answer ------------------------------------------------------------------------------- */

static int64_t resident_bytes(void) {
  long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  if (fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  fclose(file);
  return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t open_contexts(const copse *rt) {
  size_t count = 0;
  for (const copse__list *at = rt->links.next; at != &rt->links; at = at->next) {
    copse_wire_info wire;
    copse_wire_get_info(copse__of((copse__list *)(uintptr_t)at, copse__link, all)->wire, &wire);
    count += wire.opened + wire.serving;
  }
  return (int64_t)count;
}

static const char *own_state(const copse__process *process) {
  static const char *const names[] = {
      [COPSE__LIFE_BOOTING] = "booting",     [COPSE__LIFE_WORKING] = "working",
      [COPSE__LIFE_FINISHING] = "finishing", [COPSE__LIFE_CANCELLED] = "cancelled",
      [COPSE__LIFE_LEAVING] = "leaving",     [COPSE__LIFE_GONE] = "gone"};
  return names[process->life];
}

/* `parent` NULL: there is none. The addresses of an actor stand in its own entry. */
static void pack_head(copse_buf *out, size_t keys, const copse_ref *ref, const copse_ref *parent,
                      pid_t pid, const char *state) {
  copse_pack_map(out, keys + (parent ? 4 : 3));
  copse_pack_cstr(out, "ref");
  copse_pack_ref(out, ref, true);
  if (parent) {
    copse_pack_cstr(out, "parent");
    copse_pack_ref(out, parent, false);
  }
  copse_pack_cstr(out, "pid");
  copse_pack_int(out, pid);
  copse_pack_cstr(out, "state");
  copse_pack_cstr(out, state);
}

/* What is to be said of a child that has not answered. */
static const char *state_of(const copse *rt, const child_report *report) {
  const copse__list *head = &rt->process->children;
  for (const copse__list *at = head->next; at != head; at = at->next) {
    const copse_child *child = copse__of((copse__list *)(uintptr_t)at, copse_child, all);
    if (memcmp(child->peer->ref.id, report->ref.id, sizeof report->ref.id) != 0) continue;
    if (child->state == COPSE__CHILD_BOOTING) return "booting";
    if (child->state != COPSE__CHILD_READY) return "leaving";
    if (report->failed) return "unresponsive";
    return copse__child_condition(child) == COPSE_PEER_SUSPENDED ? "suspended" : "unresponsive";
  }
  return "gone";
}

static void answer(copse__info *info) {
  copse *rt = info->rt;
  copse_context *ctx = info->ctx;
  copse_buf out;
  info->ctx = NULL;
  copse__timer_stop(rt, &info->timer);
  size_t entries = 1; /* a child has one in any case */
  for (size_t i = 0; i < info->count; i++)
    entries += info->reports[i].entries ? info->reports[i].entries : 1;
  copse_buf_init(&out, VALUE_MAX, NULL);
  copse_pack_array(&out, entries);
  pack_head(&out, 2, &rt->self, rt->parent ? &rt->parent->ref : NULL, getpid(),
            own_state(rt->process));
  copse_pack_cstr(&out, "contexts");
  copse_pack_int(&out, open_contexts(rt));
  copse_pack_cstr(&out, "rss");
  copse_pack_int(&out, resident_bytes());
  for (size_t i = 0; i < info->count; i++) {
    const child_report *report = &info->reports[i];
    if (report->entries) copse_pack_value(&out, copse_buf_bytes(&report->encoded));
    else pack_head(&out, 0, &report->ref, &rt->self, report->pid, state_of(rt, report));
  }
  copse_status status = copse_buf_status(&out);
  if (status == COPSE_OK) copse_return(ctx, copse_buf_bytes(&out));
  else copse_fail(ctx, copse_status_error(status, "copse.info"));
  copse_buf_deinit(&out);
}

static void on_time(copse__timer *timer) { answer(copse__of(timer, copse__info, timer)); }

/* --- the children's --------------------------------------------------------------------------- */

static child_report *report_of(copse__info *info, const copse_ref *ref) {
  for (size_t i = 0; i < info->count; i++)
    if (memcmp(info->reports[i].ref.id, ref->id, sizeof ref->id) == 0) return &info->reports[i];
  return NULL;
}

/* Whether it is an answer that can be passed on. */
static bool take_entries(child_report *report, copse_bytes answer) {
  copse_reader reader;
  copse_token array;
  copse_reader_init(&reader, answer);
  if (copse_read(&reader, &array) != COPSE_OK || array.type != COPSE_ARRAY) return false;
  copse_buf_append(&report->encoded, reader.at, (size_t)(reader.end - reader.at));
  if (copse_buf_status(&report->encoded) != COPSE_OK) return false;
  report->entries = array.count;
  return array.count > 0;
}

static bool on_child_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  copse_child *child = arg;
  copse__info *info = child->info_for;
  (void)ctx;
  child->info = NULL;
  child->info_for = NULL;
  if (info->ctx) {
    child_report *report = report_of(info, &child->peer->ref);
    if (report)
      report->failed = outcome->kind != COPSE_RETURNED || !take_entries(report, outcome->value);
    if (--info->waiting == 0) answer(info);
  }
  unref(info);
  return true;
}

static void ask(copse__info *info, copse_child *child, child_report *report, copse_bytes args) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  report->ref = child->peer->ref;
  report->pid = copse_child_pid(child);
  copse_buf_init(&report->encoded, VALUE_MAX, NULL);
  if (child->state != COPSE__CHILD_READY) return;
  if (child->info) return; /* it owes an answer from before */
  options.target = "copse.info";
  options.args = args;
  options.cbs.done = on_child_done;
  options.data = child;
  child->info_for = info;
  if (copse__open(child->peer, NULL, &options, 0, &child->info) != COPSE_OK) {
    child->info = NULL;
    child->info_for = NULL;
    return;
  }
  info->refs++;
  info->waiting++;
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  copse__info *info = arg;
  (void)ctx;
  (void)outcome;
  copse__timer_stop(info->rt, &info->timer);
  info->ctx = NULL;
  unref(info);
  return true;
}

static void on_info(copse_context *ctx, copse_bytes args, void *arg) {
  static const copse_context_cbs cbs = {.done = on_done};
  copse__process *process = arg;
  copse__list *head = &process->children;
  copse_bytes value;
  int64_t wait = WAIT_MS;
  size_t count = 0;
  if (copse_map_get(args, WAIT_KEY, &value) == COPSE_OK &&
      (copse_value_int(value, &wait) != COPSE_OK || wait < 0 || wait > WAIT_MS))
    wait = WAIT_MS;
  for (copse__list *at = head->next; at != head; at = at->next) count++;

  copse__info *info = calloc(1, sizeof *info);
  if (info) info->reports = calloc(count ? count : 1, sizeof *info->reports);
  if (!info || !info->reports) {
    free(info);
    copse_fail(ctx, copse_error_new(COPSE_CODE_NO_MEMORY, "out of memory"));
    return;
  }
  info->ctx = ctx;
  info->rt = process->rt;
  info->refs = 1;
  copse_context_set_data(ctx, info);
  copse_context_set_cbs(ctx, &cbs);
  copse_buf out;
  copse_buf_init(&out, 256, NULL);
  copse_pack_map(&out, 1);
  copse_pack_cstr(&out, WAIT_KEY);
  copse_pack_int(&out, wait > 1 ? WAIT_BELOW(wait) : 0);
  for (copse__list *at = head->next; at != head; at = at->next)
    ask(info, copse__of(at, copse_child, all), &info->reports[info->count++],
        copse_buf_bytes(&out));
  copse_buf_deinit(&out);
  if (info->waiting)
    copse__timer_start(info->rt, &info->timer, copse__after(info->rt, wait), on_time);
  else answer(info);
}

copse_status copse__info_init(copse *rt) {
  return copse__export(rt, "copse.info", on_info, rt->process, COPSE_FROM_ANYONE, 0);
}
