#include "../include/ratelimit.h"

#include <stdlib.h>

int sliding_window_init(sliding_window *window, size_t limit, uint64_t window_ms) {
    window->stamps = calloc(limit, sizeof *window->stamps);
    if (window->stamps == NULL) {
        return -1;
    }
    window->limit = limit;
    window->head = 0;
    window->count = 0;
    window->window_ms = window_ms;
    return 0;
}

/* Exact: remembers the moment of every admitted request in a ring buffer. */
bool sliding_window_admit(sliding_window *window, uint64_t now_ms) {
    while (window->count > 0) {
        size_t oldest = (window->head + window->limit - window->count) % window->limit;
        if (now_ms - window->stamps[oldest] < window->window_ms) {
            break;
        }
        window->count--;
    }
    if (window->count == window->limit) {
        return false;
    }
    window->stamps[window->head] = now_ms;
    window->head = (window->head + 1) % window->limit;
    window->count++;
    return true;
}

void sliding_window_free(sliding_window *window) {
    free(window->stamps);
    window->stamps = NULL;
    window->count = 0;
}
