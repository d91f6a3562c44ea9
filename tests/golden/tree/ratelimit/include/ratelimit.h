/* Limits how often somebody may knock. Two methods with the same interface. */
#ifndef HAZELMART_RATELIMIT_H
#define HAZELMART_RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    double tokens;
    double capacity;
    double per_second;
    uint64_t last_ms;
} token_bucket;

typedef struct {
    uint64_t *stamps;
    size_t limit;
    size_t head;
    size_t count;
    uint64_t window_ms;
} sliding_window;

void token_bucket_init(token_bucket *bucket, double capacity, double per_second, uint64_t now_ms);
bool token_bucket_take(token_bucket *bucket, double cost, uint64_t now_ms);
uint64_t token_bucket_wait_ms(const token_bucket *bucket, double cost);

int sliding_window_init(sliding_window *window, size_t limit, uint64_t window_ms);
bool sliding_window_admit(sliding_window *window, uint64_t now_ms);
void sliding_window_free(sliding_window *window);

/* A stable number for a client's address, to choose its bucket. */
uint32_t client_slot(const char *address, uint32_t slots);

#endif
