"""Ten minutes on one GPU: do compiled steps and merged edges pay there?"""
