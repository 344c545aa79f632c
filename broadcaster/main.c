/* main.c: the broadcaster's program: arguments, settings, signals, the admin address. */
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broadcaster/conf.h"
#include "broadcaster/limit.h"
#include "broadcaster/metrics.h"
#include "broadcaster/worker.h"
#include "common/admin.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/notify.h"
#include "common/service.h"

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct program {
    struct broadcaster_conf conf;
    struct metrics metrics;
    struct worker *worker; /* owns */
    struct admin *admin;   /* owns */
    struct ev_loop *loop;
    ev_async ended; /* the worker's thread is at its end */
    ev_timer watch;
    ev_signal terminate, interrupt, reload;
    const char *config; /* borrowed: the file's name, or NULL */
    bool is_stopping;
};

static const char usage[] =
    "usage: warren-broadcaster [--config FILE] [--check-config] [--help] [--limits]\n"
    "                          [--version]\n";

static void print_help(void)
{
    printf("%s\n"
           "Puts the messages of all rooms in order and sends them to the gateways.\n\n"
           "  --config FILE    settings in INI form\n"
           "  --check-config   read the settings, say what is wrong, and end\n"
           "  --help           this text\n"
           "  --limits         the limits that others can meet, with their defaults\n"
           "  --version        the version\n\n"
           "Every setting can also be given as WARREN_<SECTION>_<KEY> in the environment.\n"
           "SIGHUP reads the rules of rooms and the level of the log anew.\n"
           "SIGTERM or SIGINT hands all partitions over first; a second one ends at once.\n\n",
           usage);
    broadcaster_conf_print();
}

static void on_ended(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* From the worker's thread. */
static void end_loop(void *user)
{
    struct program *p = user;

    ev_async_send(p->loop, &p->ended);
}

static void on_watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct program *p = container_of(watcher, struct program, watch);

    (void)loop;
    (void)events;
    worker_watch(p->worker);
    if (worker_is_live(p->worker)) {
        notify_alive(clock_mono_ms());
    }
}

/* The first signal asks the worker to give its partitions away, the second one ends all. */
static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct program *p = watcher->data;

    (void)loop;
    (void)events;
    if (p->is_stopping) {
        log_warn("ended by a second signal");
        _exit(EXIT_FAILED);
    }
    notify_say("STOPPING=1");
    p->is_stopping = true;
    worker_stop(p->worker);
}

/* SIGHUP: new rules of rooms, and the level of the log. */
static void on_reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct program *p = watcher->data;
    struct broadcaster_conf *fresh = mem_new(struct broadcaster_conf);
    struct buf others = BUF_EMPTY;

    (void)loop;
    (void)events;
    if (broadcaster_conf_load(fresh, p->config) != 0) {
        broadcaster_conf_free(fresh);
        mem_free(fresh);
        stat_add(&p->metrics.reloads_failed, 1);
        log_error("settings not reloaded: they are not good, the old ones stay");
        return;
    }
    broadcaster_conf_compare(&p->conf, fresh, &others);
    if (others.size > 0) {
        log_warn("settings that need a restart to change: %.*s", SLICE_ARG(buf_slice(&others)));
    }
    buf_deinit(&others);
    service_set_log_level(fresh->log_level);
    worker_reload(p->worker, fresh);
}

static bool is_live(void *user)
{
    return worker_is_live(((struct program *)user)->worker);
}

static const char *not_ready(void *user)
{
    return worker_not_ready(((struct program *)user)->worker);
}

static void print_metrics(void *user, struct buf *out)
{
    metrics_print(&((struct program *)user)->metrics, out);
}

static void start_signal(struct program *p, ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = p;
    ev_signal_start(p->loop, watcher);
}

static enum exit_code run(struct program *p)
{
    struct owner_limits *limits = &p->metrics.partition.limits;
    const struct admin_hooks hooks = {
        .user = p,
        .is_live = is_live,
        .not_ready = not_ready,
        .metrics = print_metrics,
        .were_full = &limits->met[OWNER_LIMIT_ADMIN_CLIENTS],
        .late = &limits->met[OWNER_LIMIT_ADMIN_TIME],
    };
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGHUP, &ignore, NULL);
    p->loop = loop_new();
    ev_async_init(&p->ended, on_ended);
    ev_async_start(p->loop, &p->ended);
    start_signal(p, &p->terminate, SIGTERM);
    start_signal(p, &p->interrupt, SIGINT);
    log_info("broadcaster starts id=%s version=" WARREN_VERSION, p->conf.id);
    p->worker = worker_new(&p->conf, &p->metrics, end_loop, p);
    if (p->worker == NULL) {
        return EXIT_FAILED;
    }
    bool has_admin = p->conf.admin[0] != '\0';
    p->admin = has_admin ? admin_new(p->loop, p->conf.admin, &hooks) : NULL;
    bool is_good = !has_admin || p->admin != NULL;
    if (!is_good) {
        worker_stop(p->worker);
    }
    ev_signal_init(&p->reload, on_reload, SIGHUP);
    p->reload.data = p;
    ev_signal_start(p->loop, &p->reload);
    ev_timer_init(&p->watch, on_watch, WORKER_WATCH_MS / 1e3, WORKER_WATCH_MS / 1e3);
    ev_timer_start(p->loop, &p->watch);
    if (is_good) {
        notify_say("READY=1");
    }
    ev_run(p->loop, 0);
    is_good = worker_is_good(p->worker) && is_good;
    p->admin = admin_free(p->admin);
    p->worker = worker_free(p->worker);
    log_info("broadcaster ends id=%s", p->conf.id);
    return is_good ? EXIT_OK : EXIT_FAILED;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, const char **config, bool *is_check)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},         {"limits", no_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *config = optarg;
            break;
        case 'k':
            *is_check = true;
            break;
        case 'h':
            print_help();
            return EXIT_OK;
        case 'l':
            limit_table_print(&broadcaster_limits);
            return EXIT_OK;
        case 'v':
            printf("warren-broadcaster " WARREN_VERSION "\n");
            return EXIT_OK;
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    static struct program program; /* the one root object */
    const char *config = NULL;
    bool is_check = false;
    int code = parse(argc, argv, &config, &is_check);

    if (code >= 0) {
        return code;
    }
    program.config = config;
    if (broadcaster_conf_load(&program.conf, config) != 0) {
        code = EXIT_USAGE;
    } else if (is_check) {
        puts("the settings are good");
        code = EXIT_OK;
    } else {
        service_set_log_level(program.conf.log_level);
        code = (int)run(&program);
    }
    broadcaster_conf_free(&program.conf);
    return code;
}
