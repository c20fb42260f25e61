/* SPDX-License-Identifier: MIT
 *
 * obituary.c: how a child has ended, and how that is put.
 *
 * There are two witnesses: the terminal of copse.actor, which is what the child said of itself, and
 * what the system reports. They may contradict each other, and either may be missing. A child that
 * says RETURN and then crashes in its exit handlers has not ended well; one that says nothing and
 * exits with 0 has not either. So the terminal stands only where the system confirms it; everything
 * else is the error `died`, with what is known: status or signal, whether it was our ladder that
 * sent that signal, the last words on standard error output, and what the child had said.
 */
#include "runtime/process.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_MAX 64
#define DATA_MAX (COPSE__TAIL_SIZE + 256)

/* The signals that end processes by default, as everybody calls them. */
/* clang-format off */
#define SIGNALS(X)                                                                                 \
  X(SIGHUP) X(SIGINT) X(SIGQUIT) X(SIGILL) X(SIGTRAP) X(SIGABRT) X(SIGBUS) X(SIGFPE) X(SIGKILL)    \
  X(SIGUSR1) X(SIGSEGV) X(SIGUSR2) X(SIGPIPE) X(SIGALRM) X(SIGTERM) X(SIGXCPU) X(SIGXFSZ)          \
  X(SIGVTALRM) X(SIGPROF) X(SIGSYS)
/* clang-format on */

const char *copse__signal_name(int signal, char text[16]) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
#define X(name) {name, #name},
      SIGNALS(X)
#undef X
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == signal) return names[i].name;
  snprintf(text, 16, "signal %d", signal);
  return text;
}

/* What it wrote where a HELLO was expected, quoted for a message; "" if it wrote nothing or did
 * say HELLO. */
static void quote(const copse_child *child, char *text, size_t size) {
  text[0] = 0;
  if (!child->link || child->link->first_size == 0) return;
  if (copse__link_has_heard_hello(child->link)) return;
  size_t at = (size_t)snprintf(text, size, "; in place of HELLO it wrote \"");
  for (size_t i = 0; i < child->link->first_size && i < QUOTE_MAX && at + 8 < size; i++) {
    uint8_t c = child->link->first[i];
    if (c == '\n') at += (size_t)snprintf(text + at, size - at, "\\n");
    else if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
      at += (size_t)snprintf(text + at, size - at, "\\x%02x", c);
    else text[at++] = (char)c;
  }
  snprintf(text + at, size - at, "\"");
}

static void pack_data(const copse_child *child, copse_buf *data) {
  const copse__proc *proc = &child->proc;
  const char *ladder = copse__ladder_signal_name(&child->ladder);
  bool known = proc->exit_signal || proc->exit_code >= 0;
  copse_buf tail;
  copse_buf_init(&tail, COPSE__TAIL_SIZE, NULL);
  copse__tail_text(&child->tail, &tail);

  copse_pack_map(data, (size_t)known + (ladder ? 1 : 0) + 1);
  if (known) {
    copse_pack_cstr(data, proc->exit_signal ? "signal" : "status");
    copse_pack_int(data, proc->exit_signal ? proc->exit_signal : proc->exit_code);
  }
  if (ladder) {
    copse_pack_cstr(data, "ladder");
    copse_pack_cstr(data, ladder);
  }
  copse_pack_cstr(data, "stderr");
  copse_pack_str(data, (const char *)tail.data, tail.size);
  copse_buf_deinit(&tail);
}

/* Replaces child->error by one with this text, keeping what led to it as its cause. */
__attribute__((format(printf, 3, 4))) static void report(copse_child *child, copse_code code,
                                                         const char *format, ...) {
  char text[320];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);

  copse_buf data;
  copse_buf_init(&data, DATA_MAX, NULL);
  pack_data(child, &data);
  copse_error *causes[2];
  copse_error_info info = {.known = code,
                           .code = copse_code_text(code),
                           .message = text,
                           .has_actor = true,
                           .actor = child->peer->ref,
                           .causes = causes,
                           .cancelled = child->cancel_asked};
  if (copse_buf_status(&data) == COPSE_OK) info.data = copse_buf_bytes(&data);
  info.actor.address_count = 0;
  if (child->error) causes[info.cause_count++] = child->error;
  /* Not a mere end of input: somebody broke the protocol, or said why it ends the link. */
  if (child->lost && child->link && !child->terminal && child->link->code != COPSE_CODE_NONE &&
      child->link->code != COPSE_CODE_LINK_LOST)
    causes[info.cause_count++] = child->lost;
  copse_error *error = copse_error_make(&info);
  copse_buf_deinit(&data);
  copse_error_unref(child->error);
  child->error = error;
  child->died = true;
}

copse_outcome_kind copse__child_verdict(copse_child *child) {
  const copse__proc *proc = &child->proc;
  const char *name = child->peer->ref.name;
  char signal[16], said[4 * QUOTE_MAX + 40];
  if (child->spawn_failed) return COPSE_FAILED;
  quote(child, said, sizeof said);

  if (child->boot_failed) {
    report(child, COPSE_CODE_BOOT_TIMEOUT, "\"%s\" (%s) was not ready within %u ms%s", name,
           child->command, child->rungs.boot_ms, said);
    return COPSE_FAILED;
  }
  if (!child->terminal && child->link && child->link->code == COPSE_CODE_WRONG_ACTOR) {
    report(child, COPSE_CODE_WRONG_ACTOR, "\"%s\" (%s) said that it is another actor", name,
           child->command);
    return COPSE_FAILED;
  }
  if (proc->exit_signal) {
    bool ours = copse__ladder_sent(&child->ladder, proc->exit_signal);
    report(child, COPSE_CODE_DIED, "\"%s\" %s %s%s", name,
           ours ? "did not end by itself and was ended by" : "was ended by",
           copse__signal_name(proc->exit_signal, signal), said);
    return COPSE_FAILED;
  }
  if (!child->terminal) {
    if (proc->exit_code < 0)
      report(child, COPSE_CODE_DIED, "\"%s\" has gone, and its status was taken by someone else%s",
             name, said);
    else
      report(child, COPSE_CODE_DIED, "\"%s\" exited with status %d and did not say how it ended%s",
             name, proc->exit_code, said);
    return COPSE_FAILED;
  }
  int expected = child->kind == COPSE_FAILED ? 1 : 0;
  if (proc->exit_code >= 0 && proc->exit_code != expected) {
    static const char *const words[] = {[COPSE_RETURNED] = "returned",
                                        [COPSE_FAILED] = "failed",
                                        [COPSE_WAS_CANCELLED] = "was cancelled"};
    report(child, COPSE_CODE_DIED, "\"%s\" %s, but then exited with status %d", name,
           words[child->kind], proc->exit_code);
    return COPSE_FAILED;
  }
  return child->kind;
}
