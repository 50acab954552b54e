/* Numbers in bytes, in either order, at any alignment. */
#ifndef NDI_BYTES_H
#define NDI_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t ndi_le16(const void *p) { const uint8_t *b = p; return (uint16_t)(b[0] | b[1] << 8); }
static inline uint32_t ndi_le32(const void *p) { const uint8_t *b = p; return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24; }
static inline uint64_t ndi_le64(const void *p) { return (uint64_t)ndi_le32(p) | (uint64_t)ndi_le32((const uint8_t *)p + 4) << 32; }
static inline uint32_t ndi_be32(const void *p) { uint32_t v; memcpy(&v, p, 4); return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v); }
static inline uint64_t ndi_be64(const void *p) { uint64_t v; memcpy(&v, p, 8); return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap64(v); }
static inline void ndi_put_le16(void *p, uint16_t v) { uint8_t *b = p; b[0] = (uint8_t)v; b[1] = (uint8_t)(v >> 8); }
static inline void ndi_put_le32(void *p, uint32_t v) { for (int i = 0; i < 4; i++) ((uint8_t *)p)[i] = (uint8_t)(v >> 8 * i); }
static inline void ndi_put_le64(void *p, uint64_t v) { for (int i = 0; i < 8; i++) ((uint8_t *)p)[i] = (uint8_t)(v >> 8 * i); }

#endif
