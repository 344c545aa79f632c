/*
 * fail.c: makes one call of a program fail; loaded into it with LD_PRELOAD.
 *
 * Allocations and system calls of the program and of its libraries are counted by kind, from
 * the moment that this library was loaded. (What the C library calls inside itself is not
 * seen, but for its allocations.) The environment says what happens:
 *   NTH_KIND    the kind that fails once: malloc, recv, ...; none: all are only counted
 *   NTH_CALL    which call of the kind fails, from 1; 0: none
 *   NTH_SITE    count only calls with this stack (hexadecimal, from a list)
 *   NTH_ERRNO   the error, as a number; for getaddrinfo its EAI_ code
 *   NTH_LIST    1: report every call with its stack
 *   NTH_REPORT  file that is added to, a line each:
 *       call KIND SITE              one call, in a list
 *       site SITE MODULE+OFFSET ... the stack of a site, innermost first; once in a list
 *       fired KIND CALL SITE        the call that failed; its site stands before it
 *       count KIND CALLS            at a regular end
 * Not interposed: calls that cannot fail on Linux when their arguments are right.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DEPTH 20     /* frames of a stack that tell one site from another */
#define OWN_FRAMES 3 /* of this file, on top of each stack */
#define MODULES_MAX 64
#define SITES_MAX 16384 /* a power of two, far above what a program has */
#define LINE_MAX_SIZE 2048
#define EXPORTED __attribute__((visibility("default")))

#define KINDS(X)                                                                                   \
    X(malloc)                                                                                      \
    X(calloc)                                                                                      \
    X(realloc)                                                                                     \
    X(socket)                                                                                      \
    X(bind)                                                                                        \
    X(listen)                                                                                      \
    X(accept4)                                                                                     \
    X(connect)                                                                                     \
    X(getaddrinfo)                                                                                 \
    X(setsockopt)                                                                                  \
    X(getsockopt)                                                                                  \
    X(shutdown)                                                                                    \
    X(recv)                                                                                        \
    X(send)                                                                                        \
    X(sendmsg)                                                                                     \
    X(read)                                                                                        \
    X(write)                                                                                       \
    X(writev)                                                                                      \
    X(open)                                                                                        \
    X(fopen)                                                                                       \
    X(opendir)                                                                                     \
    X(fcntl)                                                                                       \
    X(close)                                                                                       \
    X(poll)                                                                                        \
    X(epoll_create1)                                                                               \
    X(epoll_ctl)                                                                                   \
    X(epoll_wait)                                                                                  \
    X(eventfd)                                                                                     \
    X(pthread_create)                                                                              \
    X(getrandom)                                                                                   \
    X(gethostname)

#define KIND_ENUM(name) KIND_##name,
enum kind { KINDS(KIND_ENUM) KIND_COUNT };

#define KIND_NAME(name) #name,
static const char *const names[] = {KINDS(KIND_NAME)};

struct module {
    uintptr_t first, end, base;
    char name[64];
};

static struct {
    bool is_ready, lists;
    int kind; /* that fails; -1: none */
    unsigned long call;
    uint64_t site; /* 0: any */
    int error;
    int report; /* descriptor, or -1 */
    size_t module_count;
    struct module modules[MODULES_MAX];
} nth = {.kind = -1, .report = -1};

static atomic_ulong counts[KIND_COUNT];
static atomic_ulong matches; /* calls of the kind and site in question */
static _Atomic uint64_t sites[SITES_MAX];
static __thread bool is_inside __attribute__((tls_model("initial-exec")));

/* -- The report, without allocation and without what is interposed here -- */

static void report(const char *line, size_t size)
{
    long written = syscall(SYS_write, nth.report, line, size);

    (void)written;
}

__attribute__((format(printf, 1, 2))) static void reportf(const char *format, ...)
{
    char line[LINE_MAX_SIZE];
    va_list args;

    va_start(args, format);
    int size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (size > 0 && (size_t)size < sizeof(line)) {
        report(line, (size_t)size);
    }
}

/* -- Stacks -- */

static int add_module(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum && nth.module_count < MODULES_MAX; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            struct module *m = &nth.modules[nth.module_count++];
            const char *slash = strrchr(info->dlpi_name, '/');
            m->base = info->dlpi_addr;
            m->first = info->dlpi_addr + part->p_vaddr;
            m->end = m->first + part->p_memsz;
            (void)snprintf(m->name, sizeof(m->name), "%s", slash != NULL ? slash + 1 : "program");
        }
    }
    return 0;
}

static const struct module *find_module(uintptr_t at)
{
    for (size_t i = 0; i < nth.module_count; i++) {
        if (at >= nth.modules[i].first && at < nth.modules[i].end) {
            return &nth.modules[i];
        }
    }
    return NULL;
}

/* The same in every run: modules move, what is in them does not. FNV-1a. */
static uint64_t site_of(void *const *frames, int count)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (int i = OWN_FRAMES; i < count; i++) {
        const struct module *m = find_module((uintptr_t)frames[i]);
        uint64_t part = m == NULL ? 0 : (uintptr_t)frames[i] - m->base;
        for (const char *at = m == NULL ? "" : m->name; *at != '\0'; at++) {
            hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
        }
        for (int byte = 0; byte < 8; byte++) {
            hash = (hash ^ (part >> (8 * byte) & 0xff)) * 0x100000001b3;
        }
    }
    return hash;
}

static bool is_new_site(uint64_t site)
{
    for (size_t i = 0; i < SITES_MAX; i++) {
        _Atomic uint64_t *slot = &sites[(site + i) % SITES_MAX];
        uint64_t empty = 0;
        if (atomic_compare_exchange_strong(slot, &empty, site)) {
            return true;
        }
        if (empty == site) {
            return false;
        }
    }
    return false;
}

static void report_site(uint64_t site, void *const *frames, int count)
{
    char line[LINE_MAX_SIZE];
    int size = snprintf(line, sizeof(line), "site %016lx", (unsigned long)site);

    for (int i = OWN_FRAMES; i < count && size < (int)sizeof(line) - 128; i++) {
        const struct module *m = find_module((uintptr_t)frames[i]);
        uintptr_t offset = (uintptr_t)frames[i] - (m == NULL ? 0 : m->base);
        size += snprintf(line + size, sizeof(line) - (size_t)size, " %s+0x%lx",
                         m == NULL ? "unknown" : m->name, (unsigned long)offset);
    }
    line[size++] = '\n';
    report(line, (size_t)size);
}

/* -- The decision -- */

/* Of a call that is counted. */
static __attribute__((noinline)) bool decide(enum kind kind)
{
    bool is_mine = nth.kind == (int)kind;

    if (!nth.lists && !(is_mine && (nth.site != 0 || atomic_load(&matches) + 1 == nth.call))) {
        if (is_mine) {
            atomic_fetch_add(&matches, 1);
        }
        return false;
    }
    void *frames[DEPTH + OWN_FRAMES];
    int count = backtrace(frames, DEPTH + OWN_FRAMES);
    uint64_t site = site_of(frames, count);
    if (nth.lists) {
        if (is_new_site(site)) {
            report_site(site, frames, count);
        }
        reportf("call %s %016lx\n", names[kind], (unsigned long)site);
    }
    if (!is_mine || (nth.site != 0 && nth.site != site) ||
        atomic_fetch_add(&matches, 1) + 1 != nth.call) {
        return false;
    }
    report_site(site, frames, count);
    reportf("fired %s %lu %016lx\n", names[kind], atomic_load(&counts[kind]), (unsigned long)site);
    return true;
}

static __attribute__((noinline)) bool fails(enum kind kind)
{
    if (!nth.is_ready || is_inside) {
        return false;
    }
    int before = errno;
    is_inside = true; /* what is called from here is ours */
    atomic_fetch_add(&counts[kind], 1);
    bool verdict = decide(kind);
    is_inside = false;
    errno = verdict ? nth.error : before;
    return verdict;
}

__attribute__((constructor)) static void begin(void)
{
    const char *kind = getenv("NTH_KIND"), *call = getenv("NTH_CALL"), *site = getenv("NTH_SITE");
    const char *error = getenv("NTH_ERRNO"), *list = getenv("NTH_LIST"),
               *path = getenv("NTH_REPORT");
    void *frames[DEPTH];

    (void)backtrace(frames, DEPTH); /* the first one loads a library */
    (void)dl_iterate_phdr(add_module, NULL);
    for (int i = 0; i < KIND_COUNT && kind != NULL; i++) {
        if (strcmp(names[i], kind) == 0) {
            nth.kind = i;
        }
    }
    nth.call = call != NULL ? strtoul(call, NULL, 10) : 0;
    nth.site = site != NULL ? strtoull(site, NULL, 16) : 0;
    nth.error = error != NULL ? (int)strtol(error, NULL, 10) : ENOMEM;
    nth.lists = list != NULL && *list == '1';
    if (path != NULL) {
        /* Far away from the numbers that the program's own descriptors get. */
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        nth.report = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 1000);
        (void)syscall(SYS_close, fd);
    }
    nth.is_ready = true;
}

__attribute__((destructor)) static void finish(void)
{
    is_inside = true;
    for (int i = 0; i < KIND_COUNT; i++) {
        reportf("count %s %lu\n", names[i], atomic_load(&counts[i]));
    }
}

/* -- What stands in for the real functions -- */

/* The function of that name in the libraries behind this one. */
static void *real(_Atomic(void *) *cache, const char *name)
{
    void *found = atomic_load_explicit(cache, memory_order_relaxed);

    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(cache, found, memory_order_relaxed);
    }
    return found;
}

/* An eventfd that takes no more (EAGAIN) is readable: so it gets its number all the same. */
static ssize_t write_or_fail(int fd, const void *at, size_t size)
{
    static _Atomic(void *) cache;
    ssize_t (*next)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))real(&cache, "write");

    if (fails(KIND_write)) {
        if (nth.error == EAGAIN) {
            (void)next(fd, at, size);
            errno = EAGAIN;
        }
        return -1;
    }
    return next(fd, at, size);
}

/* Whatever close() says, Linux has closed the descriptor. */
static int close_or_fail(int fd)
{
    static _Atomic(void *) cache;
    bool is_bad = fails(KIND_close);
    int error = errno;
    int result = ((int (*)(int))real(&cache, "close"))(fd);

    if (is_bad) {
        errno = error;
        return -1;
    }
    return result;
}

extern __typeof__(write) write __attribute__((alias("write_or_fail"), visibility("default")));
extern __typeof__(close) close __attribute__((alias("close_or_fail"), visibility("default")));

/* A function with these parameters, which are called on with these arguments. */
#define STAND_IN(type, failure, kind, name, parameters, arguments)                                 \
    EXPORTED type name parameters                                                                  \
    {                                                                                              \
        static _Atomic(void *) cache;                                                              \
        if (fails(KIND_##kind)) {                                                                  \
            return failure;                                                                        \
        }                                                                                          \
        return ((type(*) parameters)real(&cache, #name))arguments;                                 \
    }

STAND_IN(void *, NULL, malloc, malloc, (size_t size), (size))
STAND_IN(void *, NULL, calloc, calloc, (size_t count, size_t size), (count, size))
STAND_IN(void *, NULL, realloc, realloc, (void *old, size_t size), (old, size))
STAND_IN(int, -1, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
STAND_IN(int, -1, bind, bind, (int fd, const struct sockaddr *at, socklen_t size), (fd, at, size))
STAND_IN(int, -1, listen, listen, (int fd, int backlog), (fd, backlog))
STAND_IN(int, -1, accept4, accept4,
         (int fd, struct sockaddr *restrict at, socklen_t *restrict size, int flags),
         (fd, at, size, flags))
STAND_IN(int, -1, connect, connect, (int fd, const struct sockaddr *at, socklen_t size),
         (fd, at, size))
STAND_IN(int, nth.error, getaddrinfo, getaddrinfo,
         (const char *restrict host, const char *restrict port,
          const struct addrinfo *restrict hints, struct addrinfo **restrict out),
         (host, port, hints, out))
STAND_IN(int, -1, setsockopt, setsockopt,
         (int fd, int level, int name, const void *value, socklen_t size),
         (fd, level, name, value, size))
STAND_IN(int, -1, getsockopt, getsockopt,
         (int fd, int level, int name, void *restrict value, socklen_t *restrict size),
         (fd, level, name, value, size))
STAND_IN(int, -1, shutdown, shutdown, (int fd, int how), (fd, how))
STAND_IN(ssize_t, -1, recv, recv, (int fd, void *at, size_t size, int flags), (fd, at, size, flags))
STAND_IN(ssize_t, -1, send, send, (int fd, const void *at, size_t size, int flags),
         (fd, at, size, flags))
STAND_IN(ssize_t, -1, sendmsg, sendmsg, (int fd, const struct msghdr *message, int flags),
         (fd, message, flags))
STAND_IN(ssize_t, -1, read, read, (int fd, void *at, size_t size), (fd, at, size))
STAND_IN(ssize_t, -1, writev, writev, (int fd, const struct iovec *parts, int count),
         (fd, parts, count))
STAND_IN(FILE *, NULL, fopen, fopen, (const char *restrict path, const char *restrict mode),
         (path, mode))
STAND_IN(FILE *, NULL, fopen, fopen64, (const char *restrict path, const char *restrict mode),
         (path, mode))
STAND_IN(DIR *, NULL, opendir, opendir, (const char *path), (path))
STAND_IN(int, -1, poll, poll, (struct pollfd * fds, nfds_t count, int wait_ms),
         (fds, count, wait_ms))
STAND_IN(int, -1, epoll_create1, epoll_create1, (int flags), (flags))
STAND_IN(int, -1, epoll_ctl, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event),
         (epoll, what, fd, event))
STAND_IN(int, -1, epoll_wait, epoll_wait,
         (int epoll, struct epoll_event *events, int count, int wait_ms),
         (epoll, events, count, wait_ms))
STAND_IN(int, -1, eventfd, eventfd, (unsigned int count, int flags), (count, flags))
STAND_IN(int, nth.error, pthread_create, pthread_create,
         (pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
          void *(*run)(void *), void *restrict user),
         (thread, attributes, run, user))
STAND_IN(ssize_t, -1, getrandom, getrandom, (void *at, size_t size, unsigned int flags),
         (at, size, flags))
STAND_IN(int, -1, gethostname, gethostname, (char *at, size_t size), (at, size))

/* Functions whose last argument is there or not: an argument that is not there is harmless. */
#define STAND_IN_OPEN(name)                                                                        \
    EXPORTED int name(const char *path, int flags, ...)                                            \
    {                                                                                              \
        static _Atomic(void *) cache;                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;             \
        va_end(more);                                                                              \
        if (fails(KIND_open)) {                                                                    \
            return -1;                                                                             \
        }                                                                                          \
        return ((int (*)(const char *, int, ...))real(&cache, #name))(path, flags, mode);          \
    }

#define STAND_IN_FCNTL(name)                                                                       \
    EXPORTED int name(int fd, int what, ...)                                                       \
    {                                                                                              \
        static _Atomic(void *) cache;                                                              \
        va_list more;                                                                              \
        va_start(more, what);                                                                      \
        void *argument = va_arg(more, void *);                                                     \
        va_end(more);                                                                              \
        if (fails(KIND_fcntl)) {                                                                   \
            return -1;                                                                             \
        }                                                                                          \
        return ((int (*)(int, int, ...))real(&cache, #name))(fd, what, argument);                  \
    }

STAND_IN_OPEN(open)
STAND_IN_OPEN(open64)
STAND_IN_FCNTL(fcntl)
STAND_IN_FCNTL(fcntl64)
