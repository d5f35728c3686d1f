/* Eight 16-bit numbers worked on at once: SSE2, which every x86-64 has, or plain C with the same results. */
#ifndef IMAGEMILL_REQUANT_LANES_H
#define IMAGEMILL_REQUANT_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>

typedef __m128i lanes;

static inline lanes lanes_load(const void *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline void lanes_store(void *to, lanes one) { _mm_storeu_si128((__m128i *)to, one); }
static inline lanes lanes_all(int value) { return _mm_set1_epi16((short)value); }
static inline lanes lanes_add(lanes one, lanes other) { return _mm_add_epi16(one, other); }
static inline lanes lanes_subtract(lanes one, lanes other) { return _mm_sub_epi16(one, other); }
static inline lanes lanes_shift(lanes one, int down) { return _mm_srai_epi16(one, down); }
static inline lanes lanes_multiply(lanes one, lanes other) { return _mm_mullo_epi16(one, other); }
/* The products' upper halves. */
static inline lanes lanes_scale(lanes one, int by) { return _mm_mulhi_epi16(one, _mm_set1_epi16((short)by)); }

/* The first four of each. */
static inline lanes lanes_join(const int16_t *left, const int16_t *right) {
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)left), _mm_loadl_epi64((const __m128i *)right));
}

static inline void lanes_interleave(lanes one, lanes other, lanes *low, lanes *high) {
    *low = _mm_unpacklo_epi16(one, other);
    *high = _mm_unpackhi_epi16(one, other);
}

/* Write min(|in|, most) × 32 × ratio / 65536 to `out`; set bit i where lane i has at least `least`. */
static inline unsigned lanes_measure(const int16_t *in, const uint16_t *ratio, uint16_t *out, int most, int least) {
    lanes value = lanes_load(in);
    value = _mm_max_epi16(value, _mm_subs_epi16(_mm_setzero_si128(), value));
    value = _mm_slli_epi16(_mm_min_epi16(value, lanes_all(most)), 5);
    value = _mm_mulhi_epu16(value, lanes_load(ratio));
    lanes_store(out, value);
    const lanes found = _mm_cmpgt_epi16(value, lanes_all(least - 1));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(found, _mm_setzero_si128()));
}

#else

typedef struct {
    int16_t at[8];
} lanes;

#define LANES_EACH(expression)                                              \
    lanes made;                                                             \
    for (int i = 0; i < 8; i++) made.at[i] = (int16_t)(expression);         \
    return made

static inline lanes lanes_load(const void *from) {
    lanes made;
    memcpy(made.at, from, sizeof made.at);
    return made;
}
static inline void lanes_store(void *to, lanes one) { memcpy(to, one.at, sizeof one.at); }
static inline lanes lanes_all(int value) { LANES_EACH(value); }
static inline lanes lanes_add(lanes one, lanes other) { LANES_EACH(one.at[i] + other.at[i]); }
static inline lanes lanes_subtract(lanes one, lanes other) { LANES_EACH(one.at[i] - other.at[i]); }
static inline lanes lanes_shift(lanes one, int down) { LANES_EACH(one.at[i] >> down); }
static inline lanes lanes_multiply(lanes one, lanes other) { LANES_EACH(one.at[i] * other.at[i]); }
static inline lanes lanes_scale(lanes one, int by) { LANES_EACH(one.at[i] * by >> 16); }
static inline lanes lanes_join(const int16_t *left, const int16_t *right) { LANES_EACH(i < 4 ? left[i] : right[i - 4]); }

static inline void lanes_interleave(lanes one, lanes other, lanes *low, lanes *high) {
    for (int i = 0; i < 4; i++) {
        low->at[2 * i] = one.at[i];
        low->at[2 * i + 1] = other.at[i];
        high->at[2 * i] = one.at[4 + i];
        high->at[2 * i + 1] = other.at[4 + i];
    }
}

static inline unsigned lanes_measure(const int16_t *in, const uint16_t *ratio, uint16_t *out, int most, int least) {
    unsigned found = 0;
    for (int i = 0; i < 8; i++) {
        const int value = in[i] < 0 ? -in[i] : in[i];
        out[i] = (uint16_t)((uint32_t)((value > most ? most : value) << 5) * ratio[i] >> 16);
        found |= (unsigned)(out[i] >= least) << i;
    }
    return found;
}

#endif
#endif
