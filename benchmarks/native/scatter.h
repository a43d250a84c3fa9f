/* Ids that look as if drawn at random: no two of the first 10^12 numbers get the same. */
#include <stdint.h>

static inline uint64_t scatter(uint64_t number) {
    return (uint64_t)((unsigned __int128)number * 617283945617 % 1000000000000);
}
