/*
 * key_pems_odd.h: public keys that no token may be checked with, as `openssl pkey -pubout` prints
 * them.
 */
#ifndef WARREN_TESTS_UNIT_KEY_PEMS_ODD_H
#define WARREN_TESTS_UNIT_KEY_PEMS_ODD_H

static const char pem_rsa1024_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/+WjIqrMGF4kO0vF61yATI4Qw\n"
    "V3N0P1iyrW6y4in85LKOePhEO3GiYyn0VmIOTzaOAt+o6gCCHiUD0QpdR8qaZhmP\n"
    "HfmdjFRgU7Y5yYHsbKPtewU9VauKBf39EnkZitc59T9S+eS4OXcoN1mNty9kK65a\n"
    "3Yk+EMkzSbFU91MMMwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_secp256k1_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEB2sZZjXI3GGVfsNFMeMdzmfMusguLXd3\n"
    "t867mpI5MPG+WQIcAIVCvd/OHKouD4M1Yxfq+FgtBRAG9HF5rxvvHw==\n"
    "-----END PUBLIC KEY-----\n";

static const char pem_x25519_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VuAyEACxx2eR838nOy+wHJJDpytiF4zcJw099ICYrwjVReMRM=\n"
    "-----END PUBLIC KEY-----\n";

#endif
