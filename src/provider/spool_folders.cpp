#include "provider/spool_folders.hpp"

namespace odmr::provider {

Result<spool::Store> open_folder(const std::string& spool, Folder folder, FileOps& files) {
  switch (folder) {
    case Folder::held:
      break;
    case Folder::bounces:
      return spool::Store::in(spool + "/bounces", files);
    case Folder::failed:
      return spool::Store::in(spool + "/failed", files);
  }
  return spool::Store::in(spool, files);
}

}  // namespace odmr::provider
