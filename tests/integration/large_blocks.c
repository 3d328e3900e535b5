// Preloaded into a process: counts the large blocks that it asks the C library for, into a file that
// another process maps. LARGE_BLOCKS names the file, LARGE_BLOCKS_FROM the size in bytes from which on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic unsigned long *counter;
static size_t from = (size_t)-1;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("LARGE_BLOCKS"), *size = getenv("LARGE_BLOCKS_FROM");
  int file = path && size ? open(path, O_RDWR) : -1;
  if (file < 0) return;
  void *place = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (place == MAP_FAILED) return;
  counter = place;
  from = strtoul(size, NULL, 10);
}

static void count(size_t size) {
  if (size >= from) atomic_fetch_add(counter, 1);
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {  // dlsym itself calls it: the C library's own name needs no dlsym
  count(n * size);
  return __libc_calloc(n, size);
}
void *realloc(void *old, size_t size) {
  count(size);
  return __libc_realloc(old, size);
}
void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **place, size_t alignment, size_t size) {
  count(size);
  *place = __libc_memalign(alignment, size);
  return *place ? 0 : 12;
}
void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  REAL(mmap);
  count(size);
  return real(at, size, protection, flags, file, offset);
}
