/* SPDX-License-Identifier: MIT
 *
 * The log: one line per event on standard error, written with one system call, so that the lines of
 * a tree of processes that share it do not mix.
 */
#include "runtime/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};

copse_log_level copse_log_parse(const char *text, bool *ok) {
  for (unsigned i = 0; text && i < sizeof names / sizeof *names; i++) {
    if (strcmp(text, names[i]) == 0) {
      if (ok) *ok = true;
      return (copse_log_level)i;
    }
  }
  if (ok) *ok = false;
  return COPSE_LOG_WARN;
}

const char *copse__log_name(copse_log_level level) {
  return (unsigned)level < sizeof names / sizeof *names ? names[level] : "?";
}

/* What the program says, else what the environment says, else warnings. */
void copse__log_init(copse *rt, const copse_config *config) {
  const char *env = config->ignore_env ? NULL : getenv("COPSE_LOG");
  bool ok = false;
  rt->log_level = COPSE_LOG_WARN;
  if (config->log_level_set) {
    rt->log_level = config->log_level;
  } else if (env) {
    copse_log_level level = copse_log_parse(env, &ok);
    if (ok) rt->log_level = level;
  }
}

copse_log_level copse_log_get_level(copse *rt) { return rt->log_level; }

void copse_log(copse *rt, copse_log_level level, const char *format, ...) {
  char line[1024];
  struct timespec now;
  struct tm tm;
  va_list args;
  if (level > rt->log_level) return;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  int n = snprintf(line, sizeof line, "%02d:%02d:%02d.%03ld %-5s %s[%ld] ", tm.tm_hour, tm.tm_min,
                   tm.tm_sec, now.tv_nsec / 1000000, copse__log_name(level), rt->self.name,
                   (long)getpid());
  size_t size = n < 0 ? 0 : (size_t)n;
  va_start(args, format);
  n = vsnprintf(line + size, sizeof line - size, format, args);
  va_end(args);
  size_t start = size;
  size += n < 0 ? 0 : (size_t)n;
  if (size >= sizeof line) size = sizeof line - 1;
  /* What a peer wrote must not fake lines or steer terminals. */
  for (size_t i = start; i < size; i++) {
    if ((uint8_t)line[i] < 0x20 || line[i] == 0x7F) line[i] = ' ';
    if ((uint8_t)line[i] == 0xC2 && i + 1 < size && (uint8_t)line[i + 1] < 0xA0)
      line[i] = line[i + 1] = ' '; /* U+0080 to U+009F */
  }
  line[size++] = '\n';
  ssize_t ignored = write(STDERR_FILENO, line, size);
  (void)ignored;
}
