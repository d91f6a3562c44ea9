#include "../include/ratelimit.h"

void token_bucket_init(token_bucket *bucket, double capacity, double per_second, uint64_t now_ms) {
    bucket->tokens = capacity;
    bucket->capacity = capacity;
    bucket->per_second = per_second;
    bucket->last_ms = now_ms;
}

static void refill(token_bucket *bucket, uint64_t now_ms) {
    if (now_ms <= bucket->last_ms) {
        return; /* the clock went backwards */
    }
    double grown = (double)(now_ms - bucket->last_ms) / 1000.0 * bucket->per_second;
    bucket->tokens += grown;
    if (bucket->tokens > bucket->capacity) {
        bucket->tokens = bucket->capacity;
    }
    bucket->last_ms = now_ms;
}

/* Allows short bursts: whatever has been saved up may be spent at once. */
bool token_bucket_take(token_bucket *bucket, double cost, uint64_t now_ms) {
    refill(bucket, now_ms);
    if (bucket->tokens < cost) {
        return false;
    }
    bucket->tokens -= cost;
    return true;
}

uint64_t token_bucket_wait_ms(const token_bucket *bucket, double cost) {
    double missing = cost - bucket->tokens;
    if (missing <= 0) {
        return 0;
    }
    return (uint64_t)(missing / bucket->per_second * 1000.0) + 1;
}

uint32_t client_slot(const char *address, uint32_t slots) {
    uint32_t hash = 2166136261u;
    for (const char *c = address; *c != '\0'; c++) {
        hash ^= (unsigned char)*c;
        hash *= 16777619u;
    }
    return hash % slots;
}
