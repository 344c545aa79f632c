/*
 * key_pems.h: pairs of keys made for tests, as `openssl genpkey` and `openssl pkey -pubout` print
 * them.
 */
#ifndef WARREN_TESTS_UNIT_KEY_PEMS_H
#define WARREN_TESTS_UNIT_KEY_PEMS_H

static const char pem_rsa_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCtxgW8zgJsyAwM\n"
    "i9xMjFxewLZNVDlmGL1x0u57JECzOCi/62y2prd2tLtLCrpqltbptFNzBV8H3UD6\n"
    "qLfqmQ+lh6SX6l8kJIJFveTvmEvoBhDWcVWj1+UuLvKuIDJGGMh/qanevixWMu1L\n"
    "cyw0OFyRUUzFbi39K7xh+GuTuH9OLQCbJ6ga82qcOU96e6Dqrp5x1b1hdl3s5VrM\n"
    "MmxCQ3I30iY74QLkZBLP37ldCt8tsQxGzG07wQ0Y4tQ0T7W9T5czvhZ6mrTcWZ06\n"
    "n+ERd1eBy35VaggnUotpFOItbBr+ct7wsnyYQ4Q3aEOW6RRr0iyEFLaz91woG6Sc\n"
    "6vQQQGD7AgMBAAECggEACFtT3qQ1lPpQggXz09voJp0JPKdxPzSvX5rvjGJ47hAk\n"
    "Ut5v0vTU29ON3OpTfq6+/8GD8IMbR9XfEG7ZXAx8+86NyXR5m35Z+XVMCNhVG3+3\n"
    "LZOJCnZmd2sbO+khIc0tTzO0j0QBU9U3zioSv8wkv3mebIbY6qpAxqFbYwuQq7da\n"
    "gyh8ne2Dyb5jfqOQSN33mkCikH0hM6dxN+VKF8mI4lvHqhNRjpLjrDgE/UZC1l6e\n"
    "b+vwdwTpOG04QBBDXssIhzY8RbS38MMJFqZVBS4R0kDPalGEcXaEdYlUTmbEYyrI\n"
    "Nl3HtVcRW8PjDaLMJ6PstM3Hg8wPmSHY+3mU5EUzeQKBgQDxYWvpDZBekepWMaqX\n"
    "RSWBG3h+Gw8ZIZjTAa1Yexa1iRjVFv0c/eBVNkgJpSl2ho1JdxNa5/93r+JHuAgX\n"
    "kcjPT7qLOciHRzfJ5VLQlHwGMpjv1tKFlLPLrX1BUzI1ifEcY0rWCdkF5lRSSwTv\n"
    "CdiE3qicKAmBadzxQw693qh2FQKBgQC4TFyKI9JnsoPVRYkhi+bP7/jWq/0oTRMB\n"
    "Tl0rMTTAQ+I587jnnW2nao9iZLztyWFfq7V3WYUTxZCk90UJmf1DxNCaOxTrzc2o\n"
    "2ZzNRaHAWOulOkIo9Dsd85oT8hnUL6q4vSq5cgE4h4HNmGtFNxS6ur7ZFcdLMxgb\n"
    "yFZK//TOzwKBgC4dx8kh30hCJnxLRuVZv52YCwBE2TCa+6CsvFqgQalzRPxJRRiJ\n"
    "5JdDJKY7GN3dPRchGeCPXH6Yaun63gjqwGvjNqes5YP69kyrdJQHGl7wwcloyJXe\n"
    "4C70uW6Gn5wc+6TJz51vCjiXVdrXHF0zC1vvUlVrTM2d1Sl+/00FQjg1AoGAcS37\n"
    "+p2rHiGkEnpkj6Rx96rgfz0Z+AD1Ne0hDGBoi9ZkfMBvAlZMu+6V5ZAF8mWklfNG\n"
    "OuhP8Gd4v8ZWsGHQBik9DipQW8uEjDgvsmQbxJsXA942OR5bm7Y5HhykvgkT5+XL\n"
    "8hzQIR4emdsLrXL5GP+MKpbUUBstqAos7FwpxEMCgYEAqWy4FHu/Bxtmo3h5kbMY\n"
    "9YCGQR+CQrNNRDWmpMlHz8XQVsXNhCjJEHZsCf/s0GWQOdXg9Tm9tPK6dOqlAwkg\n"
    "0bXWkU42+F+heYycC7r6KDM7rNdJJigk60S970rE3LZHpeSR04ADglLsf47IAhf1\n"
    "TmkZRI2Y3Q8Z+qzCG9b1CZk=\n"
    "-----END PRIVATE KEY-----\n";

static const char pem_rsa_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArcYFvM4CbMgMDIvcTIxc\n"
    "XsC2TVQ5Zhi9cdLueyRAszgov+tstqa3drS7Swq6apbW6bRTcwVfB91A+qi36pkP\n"
    "pYekl+pfJCSCRb3k75hL6AYQ1nFVo9flLi7yriAyRhjIf6mp3r4sVjLtS3MsNDhc\n"
    "kVFMxW4t/Su8Yfhrk7h/Ti0AmyeoGvNqnDlPenug6q6ecdW9YXZd7OVazDJsQkNy\n"
    "N9ImO+EC5GQSz9+5XQrfLbEMRsxtO8ENGOLUNE+1vU+XM74Wepq03FmdOp/hEXdX\n"
    "gct+VWoIJ1KLaRTiLWwa/nLe8LJ8mEOEN2hDlukUa9IshBS2s/dcKBuknOr0EEBg\n"
    "+wIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_p256_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8yfP6Xu4OEIV6o0W\n"
    "xjhP1LwJvoV2ElWJj3jFsh4lYi+hRANCAAT/yJZ9vk9q2gwqIcz5ekqvq0wxfucY\n"
    "i9zCTIuMREQ3VTy8rY1jdrDLDbHClG9js7CNDz2qehdZOcAGtbJ/KzAg\n"
    "-----END PRIVATE KEY-----\n";

static const char pem_p256_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/8iWfb5PatoMKiHM+XpKr6tMMX7n\n"
    "GIvcwkyLjEREN1U8vK2NY3awyw2xwpRvY7OwjQ89qnoXWTnABrWyfyswIA==\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_p384_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDTJRqNFcEQr2UloP2C\n"
    "1w6tL2+8x+YshzZY2iubOZd0x/ORvxdB0CcH4QR/3aqj8MyhZANiAASOZ3d0WhM2\n"
    "w0ak2UOLCeGFAXrA01R8MHV9qdQqhEMua4Ib4WwChZEX49/1Z2afge6jgtciGfws\n"
    "VTUH3TTq3sc0/o35pW4fvMvgUbdYPuTAhmbWgq/itO0BT+sKb5+uqi4=\n"
    "-----END PRIVATE KEY-----\n";

static const char pem_p384_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEjmd3dFoTNsNGpNlDiwnhhQF6wNNUfDB1\n"
    "fanUKoRDLmuCG+FsAoWRF+Pf9Wdmn4Huo4LXIhn8LFU1B9006t7HNP6N+aVuH7zL\n"
    "4FG3WD7kwIZm1oKv4rTtAU/rCm+frqou\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_p521_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAycW7OMDGkXYXZLJB\n"
    "gql7TG3NDGhoOrayhADQOAJmCPuqtVlo/QSxI+S+cEklqZfsgY+bK9DYV0aWDb9C\n"
    "XWnhgL6hgYkDgYYABAAFXqZCRTRQSoklPwBwTVCWZ5FULaWfRCcPBxHz3YEIV7QN\n"
    "ZZv1SwmSD09uXBFS9rtVsTHEbRxKo4WhuTWuesZKIgHmm+mCAIe/9RqG5TQAiqk7\n"
    "C+WDcNuCtuEJceJt3KHjL0c2nXyaJgrdVT7pzb7AC+qzi/S+P7dKQlG6+HD4U8E/\n"
    "dA==\n"
    "-----END PRIVATE KEY-----\n";

static const char pem_p521_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQABV6mQkU0UEqJJT8AcE1QlmeRVC2l\n"
    "n0QnDwcR892BCFe0DWWb9UsJkg9PblwRUva7VbExxG0cSqOFobk1rnrGSiIB5pvp\n"
    "ggCHv/UahuU0AIqpOwvlg3DbgrbhCXHibdyh4y9HNp18miYK3VU+6c2+wAvqs4v0\n"
    "vj+3SkJRuvhw+FPBP3Q=\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_ed25519_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIMtL3pso69mw03pS9KHfg7hFCbdg5Sn46m7Q+C/xY6lR\n"
    "-----END PRIVATE KEY-----\n";

static const char pem_ed25519_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAPi3hfFV4PJr2kFtQOfcYQCaNYA+ha80+PVsQbWmN+1k=\n"
    "-----END PUBLIC KEY-----\n";

#endif
