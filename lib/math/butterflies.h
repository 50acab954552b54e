/* The sums and differences that discrete Fourier transforms consist of, of as many complex numbers side by side as a vector holds. */
#ifndef NDI_BUTTERFLIES_H
#define NDI_BUTTERFLIES_H

#include "math/isa.h"
#include "math/unroll.h"

enum { MOST_RADIX = 8 };

typedef struct cvec {
    vec re, im;
} cvec;

INLINE cvec add(cvec a, cvec b) { return (cvec){ a.re + b.re, a.im + b.im }; }
INLINE cvec sub(cvec a, cvec b) { return (cvec){ a.re - b.re, a.im - b.im }; }
INLINE cvec add_i(cvec a, cvec b) { return (cvec){ a.re - b.im, a.im + b.re }; } /* a + i b */
INLINE cvec sub_i(cvec a, cvec b) { return (cvec){ a.re + b.im, a.im - b.re }; } /* a - i b */
INLINE cvec times(float s, cvec a) { return (cvec){ splat(s) * a.re, splat(s) * a.im }; }
INLINE cvec turned(cvec a, vec c, vec s) { return (cvec){ c * a.re + s * a.im, c * a.im - s * a.re }; } /* a (c - i s) */

INLINE void butterfly2(cvec *a, cvec *b)
{
    cvec less = sub(*a, *b);
    *a = add(*a, *b);
    *b = less;
}

INLINE void butterfly3(cvec *x)
{
    cvec sum = add(x[1], x[2]), across = times(0.86602540f, sub(x[1], x[2])), middle = sub(x[0], times(0.5f, sum));
    x[0] = add(x[0], sum);
    x[1] = sub_i(middle, across);
    x[2] = add_i(middle, across);
}

INLINE void butterfly4(cvec *x)
{
    cvec even = add(x[0], x[2]), less = sub(x[0], x[2]), odd = add(x[1], x[3]), across = sub(x[1], x[3]);
    x[0] = add(even, odd);
    x[1] = sub_i(less, across);
    x[2] = sub(even, odd);
    x[3] = add_i(less, across);
}

INLINE void butterfly5(cvec *x)
{
    const float c1 = 0.30901699f, c2 = -0.80901699f, s1 = 0.95105652f, s2 = 0.58778525f;
    cvec near = add(x[1], x[4]), far = add(x[2], x[3]), near_less = sub(x[1], x[4]), far_less = sub(x[2], x[3]);
    cvec m1 = add(x[0], add(times(c1, near), times(c2, far))), m2 = add(x[0], add(times(c2, near), times(c1, far)));
    cvec n1 = add(times(s1, near_less), times(s2, far_less)), n2 = sub(times(s2, near_less), times(s1, far_less));
    x[0] = add(x[0], add(near, far));
    x[1] = sub_i(m1, n1);
    x[2] = sub_i(m2, n2);
    x[3] = add_i(m2, n2);
    x[4] = add_i(m1, n1);
}

/* Sums make the even frequencies, differences turned by eighths of a circle the odd ones. */
INLINE void butterfly8(cvec *x)
{
    const float root = 0.70710678f; /* of a half */
    cvec even[4], odd[4];
    for (size_t j = 0; j < 4; j++) {
        even[j] = add(x[j], x[j + 4]);
        odd[j] = sub(x[j], x[j + 4]);
    }
    odd[1] = times(root, sub_i(odd[1], odd[1]));
    odd[2] = (cvec){ odd[2].im, -odd[2].re };
    odd[3] = times(-root, add_i(odd[3], odd[3]));
    butterfly4(even);
    butterfly4(odd);
    for (size_t j = 0; j < 4; j++) {
        x[2 * j] = even[j];
        x[2 * j + 1] = odd[j];
    }
}

/* The transform of `radix` numbers, in place. */
INLINE void butterfly(size_t radix, cvec *x)
{
    if (radix == 2) butterfly2(&x[0], &x[1]);
    if (radix == 3) butterfly3(x);
    if (radix == 4) butterfly4(x);
    if (radix == 5) butterfly5(x);
    if (radix == 8) butterfly8(x);
}

#endif
