/* SPDX-License-Identifier: MIT
 *
 * The least that a Lua process on this stack can be: a loop, a codec, a Lua state with its standard
 * library, one byte written to say "here", and then waiting until the socket on descriptor 3 is
 * closed. Linked statically. What an actor costs is measured against it.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <msgpack.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf) {
  static char space[64];
  (void)handle, (void)wanted;
  *buf = uv_buf_init(space, sizeof space);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  (void)buf;
  if (n < 0) uv_close((uv_handle_t *)stream, NULL);
}

int main(void) {
  uv_loop_t loop;
  uv_pipe_t link;
  lua_State *lua = luaL_newstate();
  msgpack_sbuffer hello;
  msgpack_packer packer;
  if (!lua || uv_loop_init(&loop) || uv_pipe_init(&loop, &link, 0) || uv_pipe_open(&link, 3))
    return 1;
  luaL_openlibs(lua);
  msgpack_sbuffer_init(&hello);
  msgpack_packer_init(&packer, &hello, msgpack_sbuffer_write);
  msgpack_pack_true(&packer);
  if (write(3, hello.data, 1) != 1) return 1;
  uv_read_start((uv_stream_t *)&link, on_alloc, on_read);
  uv_run(&loop, UV_RUN_DEFAULT);
  msgpack_sbuffer_destroy(&hello);
  uv_loop_close(&loop);
  lua_close(lua);
  return 0;
}
