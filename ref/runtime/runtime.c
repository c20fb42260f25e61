/* SPDX-License-Identifier: MIT
 *
 * The runtime of a process: the core, and what makes a process of it an actor in a tree.
 */
#include "runtime/files.h"
#include "runtime/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *copse_version(void) { return COPSE_VERSION_STRING; }

static void because(char **why, const char *text) {
  if (why && !*why) *why = strdup(text);
}

/* Started with a standard descriptor closed, we would be given its number for a link or the loop's
 * own, a line of the log would go there, and libuv aborts when it is to close such a one. */
static void fill_standard_descriptors(void) {
  while (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
         fcntl(STDERR_FILENO, F_GETFD) < 0) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (fd > STDERR_FILENO) {
      close(fd);
      return;
    }
    fcntl(fd, F_SETFD, 0);
  }
}

copse_status copse_new(copse **out, const copse_config *given, char **why) {
  copse_config config = {.size = sizeof config};
  uint8_t id[16];
  char name[COPSE_NAME_MAX + 1];
  bool is_child = false;
  copse *rt = NULL;
  if (why) *why = NULL;
  if (!out) return COPSE_EINVAL;
  *out = NULL;
  if (given) {
    /* An older header gives less; a newer one must not give more than is known here. */
    if (given->size < sizeof given->size || given->size > sizeof config) {
      because(why, "the size of the configuration is none that this version of the library knows");
      return COPSE_EINVAL;
    }
    memcpy(&config, given, given->size);
    config.size = sizeof config;
  }
  fill_standard_descriptors();
  if (config.raise_files) copse__files_raise();
  copse_status status = copse__process_identity(&config, &is_child, id, name, why);
  if (status) return status;
  status = copse__core_new(&rt, &config, is_child ? id : NULL, is_child ? name : config.name);
  if (status) {
    because(why, status == COPSE_EINVAL
                     ? "the name of an actor is 1 to 64 bytes of UTF-8 without control characters"
                     : copse_status_text(status));
    return status;
  }
  rt->exits = config.exits && !config.loop;
  status = copse__process_init(rt, &config, why);
  if (status) {
    because(why, copse_status_text(status));
    rt->exits = false;
    copse_free(rt);
    return status;
  }
  *out = rt;
  return COPSE_OK;
}

void copse_free(copse *rt) {
  if (!rt) return;
  copse__process_deinit(rt);
  if (!rt->exits) copse__core_free(rt);
}

int copse_run(copse *rt, copse_main_cb main, void *arg) {
  copse__process_run(rt, main, arg);
  copse__loop_run(rt);
  return rt->exit_status;
}

copse_error *copse_result_error(copse *rt, bool *cancelled) {
  if (cancelled) *cancelled = rt->result_cancelled;
  return rt->result;
}
