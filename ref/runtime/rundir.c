/* SPDX-License-Identifier: MIT
 *
 * rundir.c: one directory per tree.
 *
 * Sockets are files, and files outlive those who made them. So all of a tree's stand in one
 * directory of its own, which its root holds locked: the lock goes when the root does, however it
 * dies, and from then on anybody may remove the directory. Everybody does who comes by: a new
 * root before it makes its own, `copse tree` when it looks for the living, and an actor that has to
 * end because its root was killed.
 *
 * The one rule that makes this free of races: a name is never used twice. It is 64 random bits, so
 * that whoever holds the lock of a directory of some name knows that it is the one it opened,
 * and who made a directory but finds it locked (a sweeper was quicker) or gone just makes another.
 *
 * The place is $XDG_RUNTIME_DIR/copse, or /tmp/copse-UID where there is no such directory. In /tmp
 * anybody could have put something of that name, so it is used only if it is a directory, ours, and
 * closed to others. Who sets COPSE_RUNTIME_DIR has one place and no other: trees that are
 * to be apart from all other trees of the user, as those of a test.
 */
#include "runtime/rundir.h"

#include <copse.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FILE "name"
#define BASE_MAX (COPSE__RUNDIR_MAX - 17) /* and a slash and 16 digits */
#define ATTEMPTS 100

/* --- where the directories are ---------------------------------------------------------------- */

/* Whether this is a directory that only we can write to. */
static bool is_safe(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
         (st.st_mode & 077) == 0;
}

/* The two places, best first; false if there is no such place. Nothing is made. */
static bool base_path(int which, char *path, size_t size) {
  const char *only = getenv("COPSE_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
  int n;
  if (only && *only) {
    if (which != 0 || only[0] != '/') return false;
    n = snprintf(path, size, "%s", only);
  } else if (which == 0) {
    if (!xdg || xdg[0] != '/' || !is_safe(xdg)) return false;
    n = snprintf(path, size, "%s/copse", xdg);
  } else {
    n = snprintf(path, size, "/tmp/copse-%lu", (unsigned long)geteuid());
  }
  return n > 0 && (size_t)n < size && n <= BASE_MAX;
}

static bool make_base(char *path, size_t size, const char **why) {
  *why = "no runtime directory: neither in COPSE_RUNTIME_DIR, below XDG_RUNTIME_DIR nor in /tmp";
  for (int which = 0; which < 2; which++) {
    if (!base_path(which, path, size)) continue;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) continue;
    if (is_safe(path)) return true;
    errno = EPERM;
    *why = "the runtime directory is not a directory of this user's that is closed to others";
  }
  return false;
}

/* --- the lock --------------------------------------------------------------------------------- */

/* Opens and locks a tree's directory; -1 if it is gone, locked or not the one of that name any
 * more. */
static int lock_directory(const char *path) {
  struct stat mine, there;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && lstat(path, &there) == 0 &&
      mine.st_dev == there.st_dev && mine.st_ino == there.st_ino)
    return fd;
  close(fd);
  return -1;
}

/* Removes a directory that we hold locked, and gives the lock back. */
static bool remove_locked(int fd, const char *path) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  DIR *list = copy < 0 ? NULL : fdopendir(copy);
  if (list) {
    for (struct dirent *entry; (entry = readdir(list));)
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
        unlinkat(fd, entry->d_name, 0);
    closedir(list);
  } else if (copy >= 0) {
    close(copy);
  }
  bool gone = rmdir(path) == 0 || errno == ENOENT;
  close(fd);
  return gone;
}

/* Whether this is the name of a tree's directory: what is in such a one may be removed. */
static bool is_tree_name(const char *name) {
  return strspn(name, "0123456789abcdef") == 16 && name[16] == 0;
}

bool copse__rundir_of(const char *address, char path[COPSE__RUNDIR_MAX + 1]) {
  const char *slash = strrchr(address, '/');
  path[0] = 0;
  if (strncmp(address, "unix:/", 6) != 0 || slash - (address + 5) > COPSE__RUNDIR_MAX) return false;
  snprintf(path, COPSE__RUNDIR_MAX + 1, "%.*s", (int)(slash - (address + 5)), address + 5);
  slash = strrchr(path, '/');
  if (slash && is_tree_name(slash + 1)) return true;
  path[0] = 0;
  return false;
}

/* Whether this is where this user's trees are: whatever the name says, nothing else is removed. */
static bool is_ours(const char *path) {
  char base[BASE_MAX + 1];
  for (int which = 0; which < 2; which++) {
    size_t size = base_path(which, base, sizeof base) ? strlen(base) : 0;
    if (size && strncmp(path, base, size) == 0 && path[size] == '/' && is_safe(base) &&
        is_tree_name(path + size + 1))
      return true;
  }
  return false;
}

bool copse__rundir_sweep(const char *path) {
  if (!is_ours(path)) return false;
  int fd = lock_directory(path);
  return fd >= 0 ? remove_locked(fd, path) : access(path, F_OK) != 0;
}

/* Calls `visit` for every tree's directory in a place. */
static void visit_trees(const char *base, void (*visit)(const char *path, void *arg), void *arg) {
  DIR *list = is_safe(base) ? opendir(base) : NULL;
  if (!list) return;
  for (struct dirent *entry; (entry = readdir(list));) {
    char path[COPSE__RUNDIR_MAX + 1];
    if (!is_tree_name(entry->d_name)) continue;
    if (snprintf(path, sizeof path, "%s/%.16s", base, entry->d_name) < (int)sizeof path)
      visit(path, arg);
  }
  closedir(list);
}

/* --- a tree's own ----------------------------------------------------------------------------- */

static void sweep_one(const char *path, void *arg) {
  (void)arg;
  copse__rundir_sweep(path);
}

static bool write_name(int dir, const char *name) {
  int fd = openat(dir, NAME_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  size_t size = strlen(name);
  bool ok = write(fd, name, size) == (ssize_t)size;
  close(fd);
  return ok;
}

copse_status copse__rundir_create(copse__rundir *dir, const char *name, const char **why) {
  char base[BASE_MAX + 1];
  dir->fd = -1;
  dir->path[0] = 0;
  if (!make_base(base, sizeof base, why)) return COPSE_ESYSTEM;
  visit_trees(base, sweep_one, NULL);
  *why = "no directory can be made in the runtime directory";
  for (int i = 0; i < ATTEMPTS; i++) {
    unsigned long long random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) continue;
    snprintf(dir->path, sizeof dir->path, "%s/%016llx", base, random);
    if (mkdir(dir->path, 0700) != 0) {
      if (errno == EEXIST) continue;
      break;
    }
    dir->fd = lock_directory(dir->path);
    if (dir->fd < 0) continue; /* somebody sweeps just now, and removes it */
    if (write_name(dir->fd, name)) return COPSE_OK;
    int number = errno;
    copse__rundir_remove(dir);
    errno = number;
    break;
  }
  dir->path[0] = 0;
  return COPSE_ESYSTEM;
}

void copse__rundir_remove(copse__rundir *dir) {
  if (dir->fd < 0) return;
  remove_locked(dir->fd, dir->path);
  dir->fd = -1;
}

/* --- the trees of this user ------------------------------------------------------------------- */

typedef struct tree_visit {
  void (*cb)(const char *address, const char *name, void *arg);
  void *arg;
  size_t count;
} tree_visit;

static void visit_tree(const char *path, void *arg) {
  tree_visit *v = arg;
  char address[COPSE__RUNDIR_MAX + 16], name[COPSE_NAME_MAX + 1] = "";
  if (copse__rundir_sweep(path)) return;
  snprintf(address, sizeof address, "%s/" NAME_FILE, path);
  int fd = open(address, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof name - 1);
  if (fd >= 0) close(fd);
  name[n > 0 ? n : 0] = 0;
  snprintf(address, sizeof address, "unix:%s/" COPSE__ROOT_SOCKET, path);
  v->count++;
  if (v->cb) v->cb(address, name, v->arg);
}

size_t copse_trees(void (*cb)(const char *address, const char *name, void *arg), void *arg) {
  tree_visit v = {cb, arg, 0};
  char base[BASE_MAX + 1];
  for (int which = 0; which < 2; which++)
    if (base_path(which, base, sizeof base)) visit_trees(base, visit_tree, &v);
  return v.count;
}
