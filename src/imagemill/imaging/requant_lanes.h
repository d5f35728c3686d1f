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

static inline lanes lanes_size(const int16_t *in) {
    const lanes value = lanes_load(in);
    return _mm_max_epi16(value, _mm_subs_epi16(_mm_setzero_si128(), value));
}

/* Write min(value, most) × 32 × ratio / 65536 to `out`; say which lanes have at least `least` there. */
static inline lanes lanes_measure(lanes value, const uint16_t *ratio, uint16_t *out, int most, int least) {
    value = _mm_slli_epi16(_mm_min_epi16(value, lanes_all(most)), 5);
    value = _mm_mulhi_epu16(value, lanes_load(ratio));
    lanes_store(out, value);
    return _mm_cmpgt_epi16(value, lanes_all(least - 1));
}

/* A bit for each lane. */
static inline unsigned lanes_which(lanes large) {
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(large, _mm_setzero_si128()));
}

typedef __m128i lane_sums;

static inline lane_sums lanes_no_sums(void) { return _mm_setzero_si128(); }

/* Add the squares of min(value, most) × step, where that is `large`. */
static inline lane_sums lanes_square(lane_sums sums, lanes value, lanes large, const int16_t *most,
                                     const int16_t *step) {
    value = _mm_and_si128(_mm_mullo_epi16(_mm_min_epi16(value, lanes_load(most)), lanes_load(step)), large);
    return _mm_add_epi32(sums, _mm_madd_epi16(value, value));
}

static inline int lanes_sum(lane_sums sums) {
    sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32(sums, _MM_SHUFFLE(2, 3, 0, 1))));
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

static inline lanes lanes_size(const int16_t *in) {
    LANES_EACH(in[i] < -INT16_MAX ? INT16_MAX : in[i] < 0 ? -in[i] : in[i]);
}

static inline lanes lanes_measure(lanes value, const uint16_t *ratio, uint16_t *out, int most, int least) {
    for (int i = 0; i < 8; i++)
        out[i] = (uint16_t)((uint32_t)((value.at[i] > most ? most : value.at[i]) << 5) * ratio[i] >> 16);
    LANES_EACH(-((int16_t)out[i] >= least));
}

static inline unsigned lanes_which(lanes large) {
    unsigned found = 0;
    for (int i = 0; i < 8; i++) found |= (unsigned)(large.at[i] & 1) << i;
    return found;
}

typedef int lane_sums;

static inline lane_sums lanes_no_sums(void) { return 0; }

static inline lane_sums lanes_square(lane_sums sums, lanes value, lanes large, const int16_t *most,
                                     const int16_t *step) {
    for (int i = 0; i < 8; i++) {
        const int part = ((value.at[i] < most[i] ? value.at[i] : most[i]) * step[i]) & large.at[i];
        sums += part * part;
    }
    return sums;
}

static inline int lanes_sum(lane_sums sums) { return sums; }

#endif
#endif
